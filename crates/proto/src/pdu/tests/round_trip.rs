//! For any field values: what is written is read back, and any 48 bytes are read or refused.

use proptest::prelude::*;

use super::super::*;

proptest! {
    #[test]
    fn lengths(data in 0..=MAX_DATA_SEGMENT_LENGTH, words in any::<u8>()) {
        let mut pdu = ScsiCommand::default();
        pdu.set_data_segment_length(data);
        pdu.set_total_ahs_length(usize::from(words) * 4);
        prop_assert_eq!(pdu.data_segment_length(), data);
        prop_assert_eq!(pdu.total_ahs_length(), usize::from(words) * 4);
        let header = BasicHeader::from_bhs(pdu.as_bhs());
        prop_assert_eq!(header.data_segment_length(), data);
        prop_assert_eq!(header.total_ahs_length(), usize::from(words) * 4);
    }

    #[test]
    fn scsi_command(
        (itt, edtl, cmd_sn, exp_stat_sn) in any::<(u32, u32, u32, u32)>(),
        lun in any::<Lun>(),
        cdb in any::<[u8; 16]>(),
        (attribute, priority) in (0..=4_u8, 0..=15_u8),
        (immediate, read) in any::<(bool, bool)>(),
    ) {
        let direction = if read { DataDirection::Read } else { DataDirection::Write };
        let attribute = TaskAttribute::try_from(attribute).unwrap();
        let mut pdu = ScsiCommand::new(itt, lun, direction, edtl, cdb);
        pdu.set_immediate(immediate);
        pdu.set_attribute(attribute);
        pdu.set_priority(priority);
        pdu.cmd_sn = cmd_sn.into();
        pdu.exp_stat_sn = exp_stat_sn.into();
        let bhs = *pdu.as_bhs();
        let Ok(FromInitiator::ScsiCommand(read)) = FromInitiator::parse(&bhs) else {
            return Err(TestCaseError::fail("not read as a SCSI Command"));
        };
        prop_assert_eq!(read, &pdu);
        prop_assert_eq!((read.itt.get(), read.edtl.get()), (itt, edtl));
        prop_assert_eq!((read.cmd_sn.get(), read.exp_stat_sn.get()), (cmd_sn, exp_stat_sn));
        prop_assert_eq!((read.lun, read.cdb), (lun, cdb));
        prop_assert_eq!(read.direction(), direction);
        prop_assert_eq!((read.attribute(), read.priority()), (Ok(attribute), priority));
        prop_assert_eq!(read.is_immediate(), immediate);
    }

    #[test]
    fn data_in(
        (itt, ttt, data_sn, buffer_offset, residual_count) in any::<(u32, u32, u32, u32, u32)>(),
        (stat_sn, exp_cmd_sn, max_cmd_sn) in any::<(u32, u32, u32)>(),
        (has_status, overflow, acknowledge) in any::<(bool, bool, bool)>(),
        status in any::<u8>(),
    ) {
        let numbers = SequenceNumbers { stat_sn, exp_cmd_sn, max_cmd_sn };
        let mut pdu = DataIn::new(itt);
        pdu.set_sequence_numbers(numbers);
        pdu.set_final(has_status);
        pdu.set_has_status(has_status);
        pdu.set_overflow(overflow);
        pdu.set_wants_acknowledge(acknowledge);
        pdu.ttt = ttt.into();
        pdu.status = status;
        pdu.data_sn = data_sn.into();
        pdu.buffer_offset = buffer_offset.into();
        pdu.residual_count = residual_count.into();
        let bhs = *pdu.as_bhs();
        let parsed = FromTarget::parse(&bhs);
        let Ok(FromTarget::DataIn(read)) = parsed else {
            return Err(TestCaseError::fail("not read as a Data-In"));
        };
        prop_assert_eq!(read, &pdu);
        prop_assert_eq!(read.sequence_numbers(), numbers);
        prop_assert_eq!(read.buffer_offset.get(), buffer_offset);
        prop_assert_eq!((read.has_status(), read.is_final()), (has_status, has_status));
        prop_assert_eq!((read.overflow(), read.underflow()), (overflow, false));
        prop_assert_eq!(read.wants_acknowledge(), acknowledge);
    }

    #[test]
    fn login_stages_and_flags(
        current in prop::sample::select(vec![0_u8, 1, 3]),
        next in prop::option::of(prop::sample::select(vec![0_u8, 1, 3])),
    ) {
        let stage = |code| LoginStage::try_from(code).unwrap();
        let mut pdu = LoginRequest::default();
        pdu.set_stages(stage(current), next.map(stage));
        prop_assert_eq!(pdu.current_stage(), Ok(stage(current)));
        prop_assert_eq!(pdu.is_transit(), next.is_some());
        if let Some(next) = next {
            prop_assert_eq!(pdu.next_stage(), Ok(stage(next)));
        }
    }

    /// No header makes the parser panic; what it takes has the opcode that it says.
    #[test]
    fn any_bytes_are_read_or_refused(bhs in prop::array::uniform32(any::<u8>()), tail in any::<[u8; 16]>()) {
        let bhs: Bhs = [&bhs[..], &tail].concat().try_into().unwrap();
        let opcode = bhs[0] & 0x3f;
        if FromTarget::parse(&bhs).is_ok() {
            prop_assert!(opcode >= 0x20 && FromInitiator::parse(&bhs).is_err());
        }
        if FromInitiator::parse(&bhs).is_ok() {
            prop_assert!(opcode < 0x20 && FromTarget::parse(&bhs).is_err());
        }
    }
}

/// Whatever `Default` or `new` gives, the other side takes it as that PDU.
#[test]
fn fresh_headers_are_well_formed() {
    fn initiator<P: Pdu>() -> Result<(), Malformed> {
        FromInitiator::parse(P::default().as_bhs()).map(drop)
    }
    fn target<P: Pdu>() -> Result<(), Malformed> {
        FromTarget::parse(P::default().as_bhs()).map(drop)
    }
    let requests = [
        initiator::<NopOut>(),
        initiator::<ScsiCommand>(),
        initiator::<TaskManagementRequest>(),
        initiator::<LoginRequest>(),
        initiator::<TextRequest>(),
        initiator::<DataOut>(),
        initiator::<LogoutRequest>(),
        initiator::<Snack>(),
    ];
    assert_eq!(requests, [Ok(()); 8]);
    let responses = [
        target::<NopIn>(),
        target::<ScsiResponse>(),
        target::<TaskManagementResponse>(),
        target::<LoginResponse>(),
        target::<TextResponse>(),
        target::<DataIn>(),
        target::<LogoutResponse>(),
        target::<AsyncMessage>(),
        target::<Reject>(),
    ];
    assert_eq!(responses, [Ok(()); 9]);
    assert!(FromTarget::parse(R2t::new(1, 2, 0, 512).as_bhs()).is_ok());
}
