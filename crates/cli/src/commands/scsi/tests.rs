//! Answers typed from SPC-4 and SBC-3.

use super::*;

#[test]
fn standard_inquiry_data_is_read() {
    let mut data = vec![0x00, 0x00, 0x06, 0x02, 31, 0, 0, 0];
    data.extend_from_slice(b"HAWSER  VIRTUAL-DISK    0001");
    let view = InquiryView::new(None, &data);
    assert_eq!(view.vendor.as_deref(), Some("HAWSER"));
    assert_eq!(view.product.as_deref(), Some("VIRTUAL-DISK"));
    assert_eq!(view.revision.as_deref(), Some("0001"));
    let text = view.into_text();
    assert!(
        text.starts_with("Device type  0\nVendor       HAWSER\n"),
        "{text}"
    );
}

#[test]
fn short_and_hostile_inquiry_data_is_harmless() {
    assert!(InquiryView::new(None, &[]).vendor.is_none());
    let mut data = vec![0; 8];
    data.extend_from_slice(b"\x1b[2J\x07   ");
    let text = InquiryView::new(None, &data).into_text();
    assert!(text.contains("\\u{1b}[2J\\u{7}"), "{text}");
    let page = InquiryView::new(Some(0x83), &[0; 40]);
    assert!(page.vendor.is_none() && page.into_text().starts_with("Page         0x83\n"));
}

#[test]
fn capacity_is_read() {
    let mut data = [0; 32];
    data[..8].copy_from_slice(&0x1_ffff_u64.to_be_bytes());
    data[8..12].copy_from_slice(&512_u32.to_be_bytes());
    data[13] = 3;
    data[14] = 0x80;
    let view = CapacityView::read(&data).expect("is one");
    assert_eq!(view.bytes, 64 << 20);
    assert_eq!(
        (view.block_size, view.physical_block_size, view.thin),
        (512, 4096, true)
    );
    assert!(view.into_text().contains("64.0 MiB (67108864 bytes)"));
}

#[test]
fn impossible_capacities_are_refused() {
    assert!(CapacityView::read(&[0; 11]).is_err());
    assert!(CapacityView::read(&[0xff; 32]).is_err());
    let mut data = [0xff; 12];
    data[7] = 0xfe;
    assert!(CapacityView::read(&data).is_err());
}

#[test]
fn luns_are_read_as_far_as_they_came() {
    let mut data = vec![0, 0, 0, 24, 0, 0, 0, 0];
    data.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0]);
    data.extend_from_slice(&[0x41, 0x2c, 0, 0, 0, 0, 0, 0]);
    let expected = [0, 300].map(|number| LunNumber::from_number(number).into());
    assert_eq!(luns(&data).expect("is one"), expected);
    assert!(luns(&[0, 0, 0, 8]).is_err());
}

#[test]
fn a_check_condition_is_told_with_its_sense() {
    let mut fixed = vec![0; 18];
    fixed[0] = 0x70;
    fixed[2] = 0x05;
    fixed[12] = 0x24;
    let answer = ScsiResponse {
        scsi_status: 2,
        sense: fixed,
        ..ScsiResponse::default()
    };
    let report = good("INQUIRY", answer).expect_err("no").report("hawser");
    assert!(
        report.contains("INQUIRY ended with SCSI status 0x02 (CHECK CONDITION)"),
        "{report}"
    );
    assert!(
        report.contains("ILLEGAL REQUEST, asc 0x24, ascq 0x00"),
        "{report}"
    );
    assert_eq!(
        sense(&[0x72, 0x06, 0x29, 0x01]).as_deref(),
        Some("UNIT ATTENTION, asc 0x29, ascq 0x01")
    );
    assert_eq!(sense(&[0x70]), None);
}
