//! Any CDB with any data ends in an answer that keeps its promises.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::commands::COMMANDS;
use super::*;

/// CDBs that begin like a known command, so that handlers are reached.
fn cdb() -> impl Strategy<Value = Vec<u8>> {
    let known = (0..COMMANDS.len(), vec(any::<u8>(), 16)).prop_map(|(at, noise)| {
        let usage = COMMANDS[at].usage;
        let first = 1 + usize::from(COMMANDS[at].service_action.is_some());
        let masked = usage.iter().zip(noise).enumerate();
        masked
            .map(|(i, (&u, n))| {
                if i < first {
                    u
                } else {
                    u & n & n.rotate_left(3)
                }
            })
            .collect()
    });
    prop_oneof![4 => known, 1 => vec(any::<u8>(), 0..20)]
}

#[test]
fn a_cdb_of_an_impossible_length_is_unknown() {
    let rig = Rig::new();
    for cdb in [&[][..], &[0x28; 17]] {
        let mut data_in = vec![1; 100];
        let result = rig
            .device
            .execute(&rig.a, Lun::ZERO, cdb, &[], &mut data_in);
        let sense = result.sense.unwrap();
        assert_eq!(sense.code(), (SenseKey::IllegalRequest, 0x20, 0x00));
        assert!(data_in.is_empty(), "nothing of an older command is left");
    }
}

proptest! {
    #[test]
    fn every_command_gets_an_answer(
        commands in vec((cdb(), vec(any::<u8>(), 0..1200), any::<bool>()), 1..20)
    ) {
        let rig = Rig::new();
        let mut data_in = Vec::new();
        for (cdb, data_out, by_a) in &commands {
            let nexus = if *by_a { &rig.a } else { &rig.b };
            let result = rig.device.execute(nexus, Lun::ZERO, cdb, data_out, &mut data_in);
            prop_assert_eq!(result.sense.is_some(), result.status == Status::CheckCondition);
            prop_assert_eq!(result.sense_data().is_empty(), result.sense.is_none());
            prop_assert!(data_in.len() as u64 <= super::super::MAX_TRANSFER_BYTES);
            prop_assert_eq!(result.transfer_length.is_some(), result.status == Status::Good);
            if result.status != Status::Good {
                prop_assert!(data_in.is_empty());
            } else if !data_in.is_empty() {
                prop_assert_eq!(result.transfer_length, Some(data_in.len() as u64));
            }
        }
    }
}
