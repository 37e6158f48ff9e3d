//! Data: bursts, R2Ts, segments, F bits, status in a Data-In.

use hawser_proto::session::{Direction, Outcome};
use hawser_testkit::scripted::wire::{DATA_OUT, GOOD, NO_TAG, READ, SCSI_COMMAND, WRITE};
use hawser_testkit::scripted::{Pdu, disk};

use super::core::{Core, config};
use super::support::{R2T_ONLY, Rig, answered, assert_good, pattern};

/// Keys that make bursts small.
const SMALL_BURSTS: [(&str, &str); 2] = [("MaxBurstLength", "1024"), ("FirstBurstLength", "512")];

fn with(
    mode: &[(&'static str, &'static str)],
    more: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    [mode, more].concat()
}

/// What one write looks like: its command PDU, what came unasked, and all of its data.
struct Written {
    command: Pdu,
    unsolicited: usize,
}

/// Writes `length` bytes; the target asks for all that did not come by itself. The data is right, and
/// the session goes on.
async fn write(rig: &mut Rig, length: usize) -> Written {
    let data = pattern(length);
    let asked = rig.write(&data);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let mut taken = rig.peer.unsolicited(&command).await;
    let unsolicited = taken.len();
    rig.peer.quiet().await;
    let burst = rig.peer.agreed().number("MaxBurstLength");
    let mut r2t_sn = 0;
    while taken.len() < length {
        let rest = (length - taken.len()) as u32;
        let at = taken.len() as u32;
        taken.extend(
            rig.peer
                .solicit(&command, r2t_sn, at, rest.min(burst))
                .await,
        );
        r2t_sn += 1;
    }
    assert!(taken == data, "the data arrived as it was");
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
    assert_eq!(command.byte(1) & (READ | WRITE), WRITE);
    assert_eq!(command.expected_length() as usize, length);
    Written {
        command,
        unsolicited,
    }
}

#[tokio::test]
async fn ffp_8_1() {
    let mode = [("InitialR2T", "No"), ("ImmediateData", "Yes")];
    let mut rig = Rig::up(&with(&mode, &SMALL_BURSTS)).await;
    let written = write(&mut rig, 4096).await;
    assert!(written.unsolicited <= 512, "{}", written.unsolicited);
}

#[tokio::test]
async fn ffp_8_2() {
    let mut rig = Rig::up(&with(R2T_ONLY, &SMALL_BURSTS)).await;
    let written = write(&mut rig, 4096).await;
    assert_eq!(written.unsolicited, 0);
    assert!(written.command.is_final());
}

#[tokio::test]
async fn ffp_8_3() {
    let mode = [("InitialR2T", "No"), ("ImmediateData", "No")];
    let mut rig = Rig::up(&with(&mode, &SMALL_BURSTS)).await;
    for length in [4096, 512, 256] {
        let written = write(&mut rig, length).await;
        assert!(written.command.data.is_empty());
        // Nothing at all, or exactly what may come (§11.3.4).
        let exact = length.min(512);
        assert!(
            [0, exact].contains(&written.unsolicited),
            "{}",
            written.unsolicited
        );
    }
}

#[tokio::test]
async fn ffp_9_1() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let data = pattern(1024);
    let asked = rig.write(&data);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    for (r2t_sn, ttt) in [0, 0xdead_beef].into_iter().enumerate() {
        let at = r2t_sn as u32 * 512;
        rig.peer
            .send(Pdu::r2t(&command, ttt, r2t_sn as u32, at, 512))
            .await;
        let answer = rig.peer.expect(DATA_OUT).await;
        assert_eq!((answer.ttt(), answer.itt()), (ttt, command.itt()));
        assert!(answer.is_final());
    }
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_10_1() {
    let mut rig = Rig::up(&[]).await;
    let data = pattern(1024);
    for _ in 0..2 {
        let asked = rig.read(1024);
        let command = rig.peer.expect_command(disk::READ_10).await;
        rig.peer
            .send(Pdu::data_in(&command, 0, 0, &data[..512]))
            .await;
        let last = Pdu::data_in(&command, 1, 512, &data[512..]).with_status(GOOD);
        rig.peer.send(last).await;
        let answer = answered(asked).await;
        assert_good(&answer);
        assert!(answer.data == data);
    }
    rig.works().await;
}

#[tokio::test]
async fn ffp_11_1_1() {
    let answers = with(R2T_ONLY, &[("MaxRecvDataSegmentLength", "512")]);
    let mut rig = Rig::up(&answers).await;
    write(&mut rig, 8192).await;
    let sent = rig.peer.transcript().of(DATA_OUT);
    assert_eq!(sent.iter().map(|pdu| pdu.data.len()).sum::<usize>(), 8192);
    assert!(sent.iter().all(|pdu| pdu.data.len() <= 512));
}

#[tokio::test]
async fn ffp_11_1_2() {
    let small = |options: &mut hawser_engine::SessionOptions| {
        options.login.max_recv_data_segment = 512;
    };
    let mut rig = Rig::with(small, &[]).await;
    assert_eq!(
        rig.peer.agreed().offered.number("MaxRecvDataSegmentLength"),
        512
    );
    let data = pattern(1024);
    let asked = rig.read(1024);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::data_in(&command, 0, 0, &[])).await;
    rig.peer
        .send(Pdu::data_in(&command, 1, 0, &data[..512]))
        .await;
    rig.peer
        .send(Pdu::data_in(&command, 2, 512, &data[512..]))
        .await;
    rig.peer
        .send(Pdu::data_in(&command, 3, 1024, &[]).with_status(GOOD))
        .await;
    let answer = answered(asked).await;
    assert_good(&answer);
    assert!(answer.data == data);
}

#[tokio::test]
async fn ffp_11_2_1() {
    let mode = [("InitialR2T", "No"), ("ImmediateData", "Yes")];
    let more = [
        ("MaxRecvDataSegmentLength", "512"),
        ("FirstBurstLength", "1536"),
        ("MaxBurstLength", "4096"),
    ];
    let mut rig = Rig::up(&with(&mode, &more)).await;
    let written = write(&mut rig, 4096).await;
    assert!(written.command.data.len() <= 512);
    let unasked: Vec<Pdu> = rig.peer.transcript().of(DATA_OUT);
    let unasked: Vec<&Pdu> = unasked.iter().filter(|pdu| pdu.ttt() == NO_TAG).collect();
    assert_eq!(
        written.unsolicited, 1536,
        "all of FirstBurstLength, if any Data-Out is sent"
    );
    let finals: Vec<bool> = unasked.iter().map(|pdu| pdu.is_final()).collect();
    assert_eq!(finals, [false, true]);
}

#[tokio::test]
async fn ffp_11_2_2() {
    let more = [
        ("MaxRecvDataSegmentLength", "8192"),
        ("MaxBurstLength", "65536"),
    ];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    write(&mut rig, 65_536).await;
    let sent = rig.peer.transcript().of(DATA_OUT);
    let finals: Vec<bool> = sent.iter().map(Pdu::is_final).collect();
    assert_eq!(
        finals,
        [false, false, false, false, false, false, false, true]
    );
}

#[tokio::test]
async fn ffp_11_3() {
    let more = [
        ("MaxRecvDataSegmentLength", "1024"),
        ("MaxBurstLength", "2048"),
        ("FirstBurstLength", "2048"),
    ];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    write(&mut rig, 6144).await;
    let sent = rig.peer.transcript().of(DATA_OUT);
    let numbers: Vec<u32> = sent.iter().map(Pdu::data_sn).collect();
    assert_eq!(numbers, [0, 1, 0, 1, 0, 1]);
}

#[tokio::test]
async fn ffp_11_4() {
    let more = [
        ("MaxRecvDataSegmentLength", "512"),
        ("MaxBurstLength", "1024"),
        ("FirstBurstLength", "1024"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
    ];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    write(&mut rig, 2048).await;
    let sent = rig.peer.transcript().of(DATA_OUT);
    let offsets: Vec<u32> = sent.iter().map(Pdu::offset).collect();
    assert_eq!(offsets, [0, 512, 1024, 1536]);
}

#[tokio::test]
async fn ffp_12_1() {
    let more = [("MaxRecvDataSegmentLength", "2048")];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    let asked = rig.write(&pattern(4096));
    let command = rig.peer.expect(SCSI_COMMAND).await;
    for (r2t_sn, at) in [0, 2048].into_iter().enumerate() {
        let ttt = 0x1111 + at;
        rig.peer
            .send(Pdu::r2t(&command, ttt, r2t_sn as u32, at, 2048))
            .await;
        let answer = rig.peer.expect(DATA_OUT).await;
        assert_eq!(
            (answer.ttt(), answer.offset(), answer.data.len()),
            (ttt, at, 2048)
        );
        assert!(answer.is_final());
    }
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

#[tokio::test]
async fn ffp_12_2() {
    let more = [("MaxRecvDataSegmentLength", "512")];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    let asked = rig.write(&pattern(8192));
    let command = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::r2t(&command, 77, 0, 0, 4096)).await;
    for place in 0..8 {
        let answer = rig.peer.expect(DATA_OUT).await;
        assert_eq!(
            (answer.ttt(), answer.offset(), answer.data.len()),
            (77, place * 512, 512)
        );
        assert_eq!(answer.is_final(), place == 7);
    }
    rig.peer.solicit(&command, 1, 4096, 4096).await;
    rig.peer.respond(&command, GOOD).await;
    assert_good(&answered(asked).await);
}

/// Sequences out of order must be agreed on, which only the core has a way to.
#[tokio::test]
async fn ffp_12_3() {
    let mut config = config();
    config.offers.data_sequence_in_order = false;
    let more = [("MaxOutstandingR2T", "4"), ("DataSequenceInOrder", "No")];
    let (mut core, mut peer) = Core::up(config, &with(R2T_ONLY, &more)).await;
    assert!(!core.login.parameters.data_sequence_in_order);
    let data = pattern(4096);
    core.submit(
        &[0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0],
        Direction::Write(4096),
        &data,
    );
    let script = async {
        let command = peer.expect(SCSI_COMMAND).await;
        let places = [3072, 2048, 1024, 0];
        for (r2t_sn, at) in places.into_iter().enumerate() {
            peer.send(Pdu::r2t(&command, 100 + at, r2t_sn as u32, at, 1024))
                .await;
        }
        for at in places {
            let part = peer.solicited(&command, 100 + at, at, 1024).await;
            assert!(part == data[at as usize..][..1024]);
        }
        peer.respond(&command, GOOD).await;
    };
    let (done, ()) = tokio::join!(core.run(), script);
    assert!(matches!(done.unwrap().outcome, Outcome::Completed(answer) if answer.status == GOOD));
}

#[tokio::test]
async fn ffp_12_4() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let asked = [rig.write(&[1; 512]), rig.write(&[2; 512])];
    let first = rig.peer.expect(SCSI_COMMAND).await;
    let second = rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.send(Pdu::r2t(&second, 20, 0, 0, 512)).await;
    rig.peer.send(Pdu::r2t(&first, 10, 0, 0, 512)).await;
    assert_eq!(rig.peer.solicited(&second, 20, 0, 512).await, [2; 512]);
    assert_eq!(rig.peer.solicited(&first, 10, 0, 512).await, [1; 512]);
    rig.peer.respond(&first, GOOD).await;
    rig.peer.respond(&second, GOOD).await;
    for asked in asked {
        assert_good(&answered(asked).await);
    }
}

#[tokio::test]
async fn ffp_16_2_1() {
    let mode = [("InitialR2T", "Yes"), ("ImmediateData", "Yes")];
    let mut rig = Rig::up(&mode).await;
    let written = write(&mut rig, 1024).await;
    assert_eq!(written.command.data.len(), 1024);
    assert!(
        written.command.is_final(),
        "the expected length is all immediate"
    );
}

#[tokio::test]
async fn ffp_16_2_2() {
    let more = [("MaxRecvDataSegmentLength", "512")];
    let mut rig = Rig::up(&with(R2T_ONLY, &more)).await;
    let written = write(&mut rig, 2048).await;
    assert!(written.command.data.is_empty() && written.unsolicited == 0);
    assert!(
        rig.peer
            .transcript()
            .of(DATA_OUT)
            .last()
            .unwrap()
            .is_final()
    );
}

#[tokio::test]
async fn ffp_16_2_3() {
    let mode = [("InitialR2T", "No"), ("ImmediateData", "No")];
    let mut rig = Rig::up(&mode).await;
    let written = write(&mut rig, 2048).await;
    assert!(written.command.data.is_empty());
}

#[tokio::test]
async fn ffp_16_2_4() {
    let mode = [("InitialR2T", "No"), ("ImmediateData", "Yes")];
    let more = [
        ("FirstBurstLength", "1024"),
        ("MaxRecvDataSegmentLength", "512"),
    ];
    let mut rig = Rig::up(&with(&mode, &more)).await;
    let written = write(&mut rig, 4096).await;
    assert_eq!(written.unsolicited, 1024);
    assert!(
        rig.peer
            .transcript()
            .of(DATA_OUT)
            .last()
            .unwrap()
            .is_final()
    );
}

#[tokio::test]
async fn ffp_16_3_1() {
    let mut rig = Rig::up(R2T_ONLY).await;
    let written = write(&mut rig, 1024).await;
    assert!(written.command.is_final() && written.unsolicited == 0);
    assert!(
        rig.peer
            .transcript()
            .of(DATA_OUT)
            .last()
            .unwrap()
            .is_final()
    );
}

#[tokio::test]
async fn ffp_16_6() {
    let mode = [
        ("InitialR2T", "Yes"),
        ("ImmediateData", "Yes"),
        ("FirstBurstLength", "1024"),
    ];
    let mut rig = Rig::up(&mode).await;
    let whole = write(&mut rig, 1024).await;
    assert!(whole.command.is_final() && whole.unsolicited == 1024);
    let part = write(&mut rig, 4096).await;
    assert!(part.command.is_final(), "no Data-Out follows unasked");
    assert!(part.unsolicited <= 1024 && part.unsolicited == part.command.data.len());
}
