//! What is inside the commands: lists and disks that cannot be.

use hawser_engine::{LunNumber, SessionError};

use super::measure::offence;
use super::peer::{Pdu, Peer, SCSI_COMMAND};
use super::rig::{Rig, TARGET, in_time};

/// SCSI operation codes (SPC, SBC).
const INQUIRY: u8 = 0x12;
const READ_CAPACITY_10: u8 = 0x25;
const SERVICE_ACTION_IN_16: u8 = 0x9e;
const REPORT_LUNS: u8 = 0xa0;

/// Answers each command with data that this gives, cut to what was asked for; or else as it should be.
fn answers(peer: &mut Peer, data: impl Fn(&[u8; 16]) -> Option<Vec<u8>>) -> Option<()> {
    loop {
        let request = peer.take()?;
        let answer = data(&request.cdb()).filter(|_| request.opcode() == SCSI_COMMAND);
        let Some(mut data) = answer else {
            peer.answer(&request).ok()?;
            continue;
        };
        data.truncate(request.expected_length() as usize);
        let mut sn = 0;
        for (at, piece) in (0_u32..).step_by(32_768).zip(data.chunks(32_768)) {
            peer.say(Pdu::data_in(&request, sn, at, piece)).ok()?;
            sn += 1;
        }
        let left = request.expected_length() - data.len() as u32;
        let response = Pdu::scsi_response(&request, 0).put_word(36, sn);
        peer.say(response.with_residual(if left > 0 { 2 } else { 0 }, left))
            .ok()?;
    }
}

fn assert_bad_answer<T: std::fmt::Debug>(ended: Result<T, SessionError>, command: &str) {
    let error = ended.expect_err("the answer cannot be used");
    let words = error.to_string();
    assert!(matches!(error, SessionError::BadAnswer { .. }), "{words}");
    assert!(words.contains(TARGET) && words.contains(command), "{words}");
}

#[test]
fn h_94_a_list_of_luns_without_measure() {
    offence("H-94", async {
        for length in [u32::MAX, 0xffff_fff8, 7] {
            let rig = Rig::patient(move |peer| {
                answers(peer, |cdb| {
                    let mut list = length.to_be_bytes().to_vec();
                    list.resize(1 << 20, 0);
                    (cdb[0] == REPORT_LUNS).then_some(list)
                })
            });
            let rig = rig.await;
            // What is there is read, and no more; all of it is LUN 0, which is there once.
            let listed = in_time(rig.session.luns()).await;
            let known = listed.map_or(0, |luns| luns.len());
            assert!(known <= 1, "{known}");
            rig.goes_on().await;
        }
    });
}

#[test]
fn h_95_a_list_of_luns_of_a_few_bytes() {
    offence("H-95", async {
        for length in [0, 3, 7] {
            let rig = Rig::patient(move |peer| {
                answers(peer, |cdb| {
                    (cdb[0] == REPORT_LUNS).then(|| vec![0xff; length])
                })
            });
            let rig = rig.await;
            assert_bad_answer(in_time(rig.session.luns()).await, "REPORT LUNS");
            rig.goes_on().await;
        }
    });
}

/// Blocks of sizes that no disk has, or more of them than can be counted.
#[test]
fn h_96_a_disk_that_cannot_be() {
    offence("H-96", async {
        for (blocks, size) in [(100, 0), (100, 3), (100, u32::MAX), (u64::MAX, 512)] {
            let rig = Rig::patient(move |peer| {
                answers(peer, |cdb| match cdb[0] {
                    INQUIRY if cdb[1] & 1 == 0 => Some(vec![0, 0, 6, 2, 31, 0, 0, 2]),
                    INQUIRY => Some(vec![0, cdb[2], 0xff, 0xff, 0x83]),
                    READ_CAPACITY_10 => Some([u32::MAX.to_be_bytes(), size.to_be_bytes()].concat()),
                    SERVICE_ACTION_IN_16 => {
                        let mut data = blocks.to_be_bytes().to_vec();
                        data.extend(size.to_be_bytes());
                        data.resize(32, 0xff);
                        Some(data)
                    }
                    _ => None,
                })
            });
            let rig = rig.await;
            let opened = in_time(rig.session.lun(LunNumber::ZERO)).await;
            assert_bad_answer(opened, "READ CAPACITY");
            rig.goes_on().await;
        }
    });
}

/// Each page of it is as long as a page may be, and full of lengths that lead nowhere.
#[test]
fn h_97_a_disk_with_names_of_nonsense() {
    offence("H-97", async {
        let rig = Rig::patient(|peer| {
            answers(peer, |cdb| {
                let mut page = vec![0xff; 65_535];
                page[0] = 0;
                page[1] = cdb[2];
                (cdb[0] == INQUIRY).then_some(page)
            })
        });
        let rig = rig.await;
        let opened = in_time(rig.session.lun(LunNumber::ZERO)).await;
        let error = opened.expect_err("no disk is like that");
        assert!(error.to_string().contains(TARGET), "{error}");
        rig.goes_on().await;
    });
}
