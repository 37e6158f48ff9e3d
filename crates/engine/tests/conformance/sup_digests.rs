//! SUP-G: digests and framing.

use hawser_engine::{DigestPolicy, SessionError, SessionOptions};
use hawser_proto::pdu::FromTarget;
use hawser_testkit::scripted::Pdu;
use hawser_testkit::scripted::wire::{
    DATA_IN, GOOD, NO_TAG, NOP_IN, SCSI_COMMAND, SCSI_RESPONSE, TEXT_REQUEST,
};

use super::support::{Rig, answered, assert_good, failed, pattern};

fn digests(header: bool, data: bool) -> impl FnOnce(&mut SessionOptions) {
    let policy = |on| {
        if on {
            DigestPolicy::Crc32c
        } else {
            DigestPolicy::None
        }
    };
    move |options| {
        options.login.header_digest = policy(header);
        options.login.data_digest = policy(data);
    }
}

#[tokio::test]
async fn sup_g01() {
    for (header, data) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut rig = Rig::with(digests(header, data), &[("InitialR2T", "Yes")]).await;
        // The peer checks both digests of all that comes.
        rig.peer.quiet().await;
        for length in [512, 509, 510, 511] {
            let payload = pattern(length);
            let asked = rig.write(&payload);
            let command = rig.peer.expect(SCSI_COMMAND).await;
            assert!(rig.peer.take_write(&command).await == payload);
            rig.peer.respond(&command, GOOD).await;
            assert_good(&answered(asked).await);
            let asked = rig.read(length as u32);
            let command = rig.peer.expect(SCSI_COMMAND).await;
            let mut last = Pdu::data_in(&command, 0, 0, &payload).with_status(GOOD);
            // Padding is part of the digest, and else of no interest.
            last.padding.fill(0xff);
            rig.peer.send(last).await;
            let answer = answered(asked).await;
            assert_good(&answer);
            assert!(answer.data == payload);
        }
        rig.log_out().await;
    }
}

/// The target's preference wins among what is offered.
#[tokio::test]
async fn sup_g01_negotiated() {
    for (policy, offer, choice) in [
        (DigestPolicy::PreferNone, "None,CRC32C", "CRC32C"),
        (DigestPolicy::PreferCrc32c, "CRC32C,None", "None"),
    ] {
        let change = |options: &mut SessionOptions| options.login.header_digest = policy;
        let mut rig = Rig::with(change, &[("HeaderDigest", choice)]).await;
        assert_eq!(rig.peer.agreed().offered.need("HeaderDigest"), offer);
        assert_eq!(
            rig.view().await.parameters.header_digest,
            choice == "CRC32C"
        );
        rig.works().await;
    }
}

#[tokio::test]
async fn sup_g02() {
    let mut rig = Rig::with(digests(true, false), &[]).await;
    let asked = rig.test_unit_ready();
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let pdu = rig.peer.number(Pdu::scsi_response(&command, GOOD));
    let mut bytes = rig.peer.bytes(&pdu);
    assert_eq!(bytes.len(), 52);
    bytes[50] ^= 1;
    rig.peer.send_bytes(&bytes).await;
    assert!(matches!(failed(asked).await, SessionError::Interrupted(_)));
    rig.recovers("digest").await;
}

/// The data digest of the PDU that `pdu` makes is wrong.
async fn wrong_data_digest(make: impl AsyncFnOnce(&mut Rig) -> Pdu) {
    let mut rig = Rig::with(digests(false, true), &[]).await;
    let pdu = make(&mut rig).await;
    let pdu = rig.peer.number(pdu);
    let mut bytes = rig.peer.bytes(&pdu);
    *bytes.last_mut().unwrap() ^= 1;
    rig.peer.send_bytes(&bytes).await;
    rig.recovers("data digest").await;
}

#[tokio::test]
async fn sup_g03() {
    wrong_data_digest(async |rig| {
        rig.read(512);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        Pdu::data_in(&command, 0, 0, &[7; 512]).with_status(GOOD)
    })
    .await;
    wrong_data_digest(async |rig| {
        rig.read(512);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        Pdu::check_condition(&command, [5, 0x20, 0])
    })
    .await;
    wrong_data_digest(async |_| Pdu::nop_in(NO_TAG, [0; 8]).with_data(b"unasked")).await;
    wrong_data_digest(async |rig| {
        rig.peer.send(Pdu::async_message(4, [0, 0, 3])).await;
        let text = rig.peer.expect(TEXT_REQUEST).await;
        Pdu::text_response(&text, b"TargetAlias=x\0")
    })
    .await;
}

/// A read that fails for a data digest error is no success, whatever its status said before.
#[tokio::test]
async fn sup_g03_fails_the_command() {
    let mut rig = Rig::with(digests(false, true), &[]).await;
    let asked = rig.read(512);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let pdu = rig
        .peer
        .number(Pdu::data_in(&command, 0, 0, &[7; 512]).with_status(GOOD));
    let mut bytes = rig.peer.bytes(&pdu);
    bytes[48] ^= 1;
    rig.peer.send_bytes(&bytes).await;
    assert!(matches!(failed(asked).await, SessionError::Interrupted(_)));
    rig.recovers("data digest").await;
}

#[tokio::test]
async fn sup_g04() {
    let limit = |options: &mut SessionOptions| options.login.max_recv_data_segment = 4096;
    // Each header takes the tag of the command that it seems to answer.
    let mut ahs = Pdu::new(SCSI_RESPONSE, 0).put_byte(4, 0xff);
    ahs.ahs = vec![0; 1020];
    let too_long = Pdu::new(DATA_IN, 0)
        .put_word(20, NO_TAG)
        .with_data(&[7; 4100]);
    for (pdu, words) in [
        (too_long, "4100"),
        (ahs, "header"),
        (Pdu::new(0x2a, 0), "opcode"),
        (Pdu::new(0x3d, 0), "opcode"),
    ] {
        let mut rig = Rig::with(limit, &[]).await;
        let asked = rig.read(8192);
        let command = rig.peer.expect(SCSI_COMMAND).await;
        rig.peer.send(pdu.put_word(16, command.itt())).await;
        assert!(
            matches!(failed(asked).await, SessionError::Interrupted(_)),
            "{words}"
        );
        rig.recovers(words).await;
    }
    let mut rig = Rig::with(limit, &[]).await;
    rig.peer.send(Pdu::new(SCSI_RESPONSE, 0x7654_3210)).await;
    rig.recovers("0x76543210").await;
}

#[tokio::test]
async fn sup_g05() {
    let mut rig = Rig::with(digests(true, true), &[]).await;
    let data = pattern(509);
    // Byte by byte.
    let asked = rig.read(509);
    let command = rig.peer.expect(SCSI_COMMAND).await;
    let pdu = rig
        .peer
        .number(Pdu::data_in(&command, 0, 0, &data).with_status(GOOD));
    for byte in rig.peer.bytes(&pdu) {
        rig.peer.send_bytes(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert!(answered(asked).await.data == data);
    // Many in one.
    let asked: Vec<_> = (0..20).map(|_| rig.test_unit_ready()).collect();
    let mut bytes = Vec::new();
    for _ in &asked {
        let command = rig.peer.expect(SCSI_COMMAND).await;
        let pdu = rig.peer.number(Pdu::scsi_response(&command, GOOD));
        bytes.extend(rig.peer.bytes(&pdu));
        let nothing = rig.peer.number(Pdu::nop_in(NO_TAG, [0; 8]));
        bytes.extend(rig.peer.bytes(&nothing));
    }
    rig.peer.send_bytes(&bytes).await;
    for asked in asked {
        assert_good(&answered(asked).await);
    }
    // A half that is closed is a connection that is lost.
    let asked = rig.test_unit_ready();
    rig.peer.expect(SCSI_COMMAND).await;
    rig.peer.finish().await;
    assert!(matches!(failed(asked).await, SessionError::Interrupted(_)));
    rig.peer.expect_close().await;
}

/// A few thousand headers of no plan: read or refused, never a panic, and what is read is what came.
/// The fuzz targets `pdu_stream` and `session_exchange` go on from here.
#[tokio::test]
async fn sup_g06() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    let (mut read, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut header = [0; 48];
        header.fill_with(&mut byte);
        // Half of them have an opcode and flags that exist.
        if round % 2 == 0 {
            let opcodes = [
                NOP_IN,
                SCSI_RESPONSE,
                0x22,
                0x24,
                DATA_IN,
                0x26,
                0x31,
                0x32,
                0x3f,
            ];
            header[0] = opcodes[usize::from(header[0]) % opcodes.len()];
            (header[1], header[4]) = (0x80, 0);
        }
        match FromTarget::parse(&header) {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} {refused}");
    // The same to a live session: it ends, or goes on, but answers.
    for _ in 0..20 {
        let mut rig = Rig::up(&[]).await;
        let asked = rig.test_unit_ready();
        let command = rig.peer.expect(SCSI_COMMAND).await;
        let mut header = [0; 48];
        header.fill_with(&mut byte);
        header[5..8].fill(0);
        // In one write, for the first may end the connection.
        let response = rig.peer.number(Pdu::scsi_response(&command, GOOD));
        let bytes = [&header[..], &rig.peer.bytes(&response)].concat();
        rig.peer.send_bytes(&bytes).await;
        match super::support::ended(asked).await {
            Ok(answer) => assert_good(&answer),
            Err(error) => assert!(matches!(error, SessionError::Interrupted(_)), "{error}"),
        }
    }
}
