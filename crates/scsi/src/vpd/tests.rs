//! VPD pages against bytes typed from the tables of SPC-4 and SBC-3.

use super::*;

#[test]
fn pages_are_what_was_asked_for() {
    assert_eq!(
        decode_supported_pages(&[0, 0, 0, 3, 0x00, 0x80, 0x83]),
        Ok(vec![0, 0x80, 0x83])
    );
    assert_eq!(
        decode_supported_pages(&[0, 0x80, 0, 0]),
        Err(DecodeError::WrongPage {
            asked: 0,
            got: 0x80
        })
    );
    assert!(decode_serial(&[0, 0x80, 0]).is_err());
    assert_eq!(decode_serial(b"\x00\x80\x00\x04AB12tail").unwrap(), b"AB12");
    assert_eq!(
        decode_serial(b"\x00\x80\x00\x40AB12").unwrap(),
        b"AB12",
        "cut off"
    );
}

#[test]
fn designators_one_after_another() {
    let mut page = vec![0x00, 0x83, 0, 0];
    page.extend_from_slice(&[0x01, 0x03, 0, 8, 0x50, 1, 2, 3, 4, 5, 6, 7]);
    page.extend_from_slice(&[0x52, 0x91, 0, 3, b'a', b'\n', b'c']); // port, ASCII, T10
    page.extend_from_slice(&[0x01, 0x14, 0, 4, 0, 0, 0, 1]);
    page.extend_from_slice(&[0x01, 0x03, 0, 9, 1, 2]); // cut off
    page[3] = u8::try_from(page.len() - 4).unwrap();
    let found = decode_device_id(&page).unwrap();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].kind, DesignatorKind::Naa);
    assert_eq!(found[0].association, Association::LogicalUnit);
    assert_eq!(found[1].association, Association::TargetPort);
    assert_eq!(found[1].kind, DesignatorKind::T10Vendor);
    assert_eq!(
        (found[1].code_set, found[1].text().as_str()),
        (2, "a\\x0ac")
    );
    assert_eq!(found[2].kind, DesignatorKind::RelativePort);
}

#[test]
fn designators_are_bounded() {
    let mut page = vec![0x00, 0x83, 0xff, 0xff];
    page.resize(4 + 0xffff, 0);
    assert_eq!(decode_device_id(&page).unwrap().len(), MAX_DESIGNATORS);
}

#[test]
fn block_limits_of_both_lengths() {
    let mut page = vec![0x00, 0xb0, 0x00, 0x3c];
    page.resize(64, 0);
    page[4] = 1;
    page[5] = 255;
    page[6..8].copy_from_slice(&[0, 8]);
    page[8..12].copy_from_slice(&[0, 0, 0x40, 0]);
    page[12..16].copy_from_slice(&[0, 0, 0x20, 0]);
    page[20..24].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    page[24..28].copy_from_slice(&[0, 0, 1, 0]);
    page[28..32].copy_from_slice(&[0, 0, 0, 16]);
    page[32..36].copy_from_slice(&[0x80, 0, 0, 4]);
    page[36..44].copy_from_slice(&[0, 0, 0, 0, 0, 1, 0, 0]);
    let limits = BlockLimits::decode(&page).unwrap();
    let expected = BlockLimits {
        write_same_non_zero: true,
        max_compare_and_write_blocks: 255,
        optimal_granularity_blocks: 8,
        max_transfer_blocks: 0x4000,
        optimal_transfer_blocks: 0x2000,
        max_unmap_blocks: u32::MAX,
        max_unmap_ranges: 256,
        unmap_granularity_blocks: 16,
        unmap_alignment_block: Some(4),
        max_write_same_blocks: 0x1_0000,
    };
    assert_eq!(limits, expected);
    page[3] = 0x0c; // the page of SBC-2
    let short = BlockLimits::decode(&page).unwrap();
    assert_eq!(
        (short.max_transfer_blocks, short.max_unmap_blocks),
        (0x4000, 0)
    );
}

#[test]
fn medium_and_provisioning() {
    let medium = BlockCharacteristics::decode(&[0, 0xb1, 0, 4, 0, 1, 0, 3]).unwrap();
    assert_eq!(
        medium,
        BlockCharacteristics {
            rotation_rate: 1,
            form_factor: 3
        }
    );
    let thin = Provisioning::decode(&[0, 0xb2, 0, 4, 0, 0xe6, 2, 0]).unwrap();
    assert!(thin.unmap && thin.write_same_16 && thin.write_same_10 && thin.anchor);
    assert!(thin.unmapped_reads_zero);
    assert_eq!(thin.provisioning_type, 2);
    let none = Provisioning::decode(&[0, 0xb2, 0, 0]).unwrap();
    assert_eq!(none, Provisioning::default());
}
