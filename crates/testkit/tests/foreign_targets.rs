//! The launchers of foreign targets, tried with a foreign initiator (libiscsi): neither side is ours.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use hawser_testkit::peers::{
    Backing, IscsiUrl, Istgt, IstgtConfig, IstgtTarget, PeerError, TestCuVerdict, TgtConfig,
    TgtLun, TgtTarget, Tgtd, iscsi_inquiry, iscsi_list, iscsi_perf, iscsi_test_cu, wait_until,
};

const MIB: u64 = 1 << 20;
const PLAIN: &str = "iqn.2024-01.test:plain";
const CHAP: &str = "iqn.2024-01.test:chap";
const MUTUAL: &str = "iqn.2024-01.test:mutual";

fn refused(result: Result<String, PeerError>) {
    match result {
        Err(PeerError::Failed { output, .. }) => {
            assert!(output.contains("Authentication failure(513)"), "{output}");
        }
        other => panic!("a wrong login was not refused: {other:?}"),
    }
}

#[test]
fn tgt_shows_its_targets_and_four_luns() {
    let config = TgtConfig::new()
        .target(TgtTarget::new(PLAIN).disks(4, 16 * MIB))
        .target(TgtTarget::new(CHAP).disks(1, 8 * MIB));
    let tgtd = Tgtd::start(config).unwrap();
    let listed = iscsi_list(tgtd.portal()).unwrap();
    let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&PLAIN) && names.contains(&CHAP), "{names:?}");
    for lun in 1..=4 {
        let inquiry = iscsi_inquiry(&IscsiUrl::new(tgtd.portal(), PLAIN, lun)).unwrap();
        assert!(inquiry.contains("DIRECT_ACCESS"), "LUN {lun}: {inquiry}");
        let image = tgtd.image(0, usize::try_from(lun).unwrap()).unwrap();
        assert_eq!(std::fs::metadata(image).unwrap().len(), 16 * MIB);
    }
}

#[test]
fn tgt_listens_on_every_address() {
    let config = TgtConfig::new()
        .address(Ipv6Addr::LOCALHOST.into())
        .address(Ipv4Addr::new(127, 0, 0, 2).into())
        .target(TgtTarget::new(PLAIN).disks(1, MIB));
    let tgtd = Tgtd::start(config).unwrap();
    for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
        let portal = SocketAddr::new(ip.parse().unwrap(), tgtd.port());
        iscsi_inquiry(&IscsiUrl::new(portal, PLAIN, 1)).unwrap();
    }
}

#[test]
fn tgt_demands_chap_both_ways() {
    let config = TgtConfig::new()
        .target(
            TgtTarget::new(CHAP)
                .disks(1, MIB)
                .chap("user1", "secretsecret1"),
        )
        .target(
            TgtTarget::new(MUTUAL)
                .disks(1, MIB)
                .chap("user1", "secretsecret1")
                .mutual("tgtuser", "targetsecret1"),
        );
    let tgtd = Tgtd::start(config).unwrap();
    let chap = IscsiUrl::new(tgtd.portal(), CHAP, 1);
    refused(iscsi_inquiry(&chap));
    refused(iscsi_inquiry(&chap.clone().chap("user1", "wrongwrong12")));
    iscsi_inquiry(&chap.chap("user1", "secretsecret1")).unwrap();
    let mutual = IscsiUrl::new(tgtd.portal(), MUTUAL, 1).chap("user1", "secretsecret1");
    iscsi_inquiry(&mutual.clone().mutual("tgtuser", "targetsecret1")).unwrap();
    let wrong = iscsi_inquiry(&mutual.mutual("tgtuser", "wrongwrong12"));
    assert!(matches!(wrong, Err(PeerError::Failed { .. })), "{wrong:?}");
}

#[test]
fn tgt_refuses_two_secrets_for_one_user() {
    let config = TgtConfig::new()
        .target(TgtTarget::new(CHAP).chap("user1", "secretsecret1"))
        .target(TgtTarget::new(MUTUAL).chap("user1", "secretsecret2"));
    assert!(matches!(Tgtd::start(config), Err(PeerError::Config(_))));
}

#[test]
fn tgt_has_the_digests_and_parameters_it_was_given() {
    let target = TgtTarget::new(PLAIN)
        .disks(1, MIB)
        .digests()
        .parameter("InitialR2T", "No")
        .parameter("MaxOutstandingR2T", "8");
    let tgtd = Tgtd::start(TgtConfig::new().target(target)).unwrap();
    let shown = tgtd
        .admin(&["--mode", "target", "--op", "show", "--tid", "1"])
        .unwrap();
    for line in [
        "HeaderDigest=CRC32C",
        "DataDigest=CRC32C",
        "InitialR2T=No",
        "MaxOutstandingR2T=8",
    ] {
        assert!(shown.lines().any(|l| l == line), "{line} not in {shown}");
    }
    iscsi_inquiry(&IscsiUrl::new(tgtd.portal(), PLAIN, 1).header_digest()).unwrap();
}

#[test]
fn tgt_serves_null_readonly_and_4096_byte_disks() {
    let mut readonly = TgtLun::new(Backing::New(MIB));
    readonly.readonly = true;
    let mut large_blocks = TgtLun::new(Backing::New(MIB));
    large_blocks.block_size = 4096;
    large_blocks.thin = true;
    let target = TgtTarget::new(PLAIN)
        .lun(TgtLun::new(Backing::Null))
        .lun(readonly)
        .lun(large_blocks);
    let tgtd = Tgtd::start(TgtConfig::new().target(target)).unwrap();
    assert_eq!(tgtd.image(0, 1), None);
    let shown = tgtd.admin(&["--mode", "target", "--op", "show"]).unwrap();
    assert!(shown.contains("Backing store type: null"), "{shown}");
    assert!(shown.contains("Readonly: Yes"), "{shown}");
    assert!(shown.contains("Block size: 4096"), "{shown}");
    assert!(shown.contains("Thin-provisioning: Yes"), "{shown}");
    let report = iscsi_perf(&IscsiUrl::new(tgtd.portal(), PLAIN, 1), 32, 8, true, 1).unwrap();
    assert!(report.iops > 0 && report.cpu_seconds > 0.0, "{report:?}");
}

#[test]
fn tgt_comes_back_on_the_same_port_with_the_same_data() {
    let mut tgtd =
        Tgtd::start(TgtConfig::new().target(TgtTarget::new(PLAIN).disks(1, MIB))).unwrap();
    let url = IscsiUrl::new(tgtd.portal(), PLAIN, 1);
    let image = tgtd.image(0, 1).unwrap();
    std::fs::write(&image, vec![0x5a; 1 << 20]).unwrap();
    let mut open = TcpStream::connect(tgtd.portal()).unwrap();
    tgtd.kill();
    let mut byte = [0];
    // The kernel closes the dead server's connections: end of stream or a reset.
    assert!(matches!(open.read(&mut byte), Ok(0) | Err(_)));
    assert!(TcpStream::connect(tgtd.portal()).is_err());
    tgtd.restart().unwrap();
    iscsi_inquiry(&url).unwrap();
    assert_eq!(std::fs::read(&image).unwrap(), vec![0x5a; 1 << 20]);
    tgtd.restart().unwrap();
    iscsi_inquiry(&url).unwrap();
}

#[test]
fn a_frozen_tgt_is_silent_and_a_thawed_one_serves() {
    let tgtd = Tgtd::start(TgtConfig::new().target(TgtTarget::new(PLAIN).disks(1, MIB))).unwrap();
    tgtd.freeze().unwrap();
    // The kernel still accepts for it, but nothing answers.
    let mut silent = TcpStream::connect(tgtd.portal()).unwrap();
    silent.write_all(&[0x43]).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    assert!(silent.read(&mut [0]).is_err());
    tgtd.thaw().unwrap();
    iscsi_inquiry(&IscsiUrl::new(tgtd.portal(), PLAIN, 1)).unwrap();
}

#[test]
fn tgt_tells_who_is_logged_in_and_redirects() {
    let config = TgtConfig::new().target(TgtTarget::new(PLAIN).disks(1, MIB));
    let first = Tgtd::start(config.clone()).unwrap();
    assert!(first.sessions(0).unwrap().is_empty());
    let url = IscsiUrl::new(first.portal(), PLAIN, 1);
    let reader = std::thread::spawn({
        let url = url.clone();
        move || iscsi_perf(&url, 1, 8, false, 2)
    });
    wait_until("the session of iscsi-perf", Duration::from_secs(10), || {
        let names = first.sessions(0).map_err(|error| error.to_string())?;
        if names.iter().any(|name| name.ends_with(":iscsi-perf")) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    })
    .unwrap();
    reader.join().unwrap().unwrap();
    // A redirect to an address that nobody serves: the login must follow it and fail.
    let nobody = SocketAddr::from(([127, 0, 0, 3], 1));
    first.redirect(0, nobody, false).unwrap();
    assert!(iscsi_inquiry(&url).is_err());
}

#[test]
fn istgt_serves_plain_chap_and_mutual_and_comes_back() {
    let config = IstgtConfig::new()
        .target(IstgtTarget::new(PLAIN).disks(4, 16 * MIB))
        .target(
            IstgtTarget::new(CHAP)
                .disks(1, MIB)
                .chap("user1", "secretsecret1"),
        )
        .target(
            IstgtTarget::new(MUTUAL)
                .disks(1, MIB)
                .chap("user2", "secretsecret2")
                .mutual("tgtuser", "targetsecret1")
                .require_digests(),
        );
    let mut istgt = Istgt::start(config).unwrap();
    let plain = IscsiUrl::new(istgt.portal(), PLAIN, 3);
    let inquiry = iscsi_inquiry(&plain).unwrap();
    assert!(inquiry.contains("DIRECT_ACCESS"), "{inquiry}");
    assert_eq!(
        std::fs::metadata(istgt.image(0, 3)).unwrap().len(),
        16 * MIB
    );
    let chap = IscsiUrl::new(istgt.portal(), CHAP, 0);
    refused(iscsi_inquiry(&chap));
    iscsi_inquiry(&chap.chap("user1", "secretsecret1")).unwrap();
    let mutual = IscsiUrl::new(istgt.portal(), MUTUAL, 0)
        .chap("user2", "secretsecret2")
        .mutual("tgtuser", "targetsecret1")
        .header_digest();
    iscsi_inquiry(&mutual).unwrap();
    istgt.kill();
    assert!(iscsi_inquiry(&plain).is_err());
    istgt.restart().unwrap();
    iscsi_inquiry(&plain).unwrap();
}

#[test]
fn the_judge_of_targets_counts_what_it_ran() {
    let tgtd =
        Tgtd::start(TgtConfig::new().target(TgtTarget::new(PLAIN).disks(1, 16 * MIB))).unwrap();
    let url = IscsiUrl::new(tgtd.portal(), PLAIN, 1);
    let report = iscsi_test_cu(&url, "SCSI.Inquiry", Duration::from_secs(60)).unwrap();
    assert!(report.ran >= 5, "{}", report.output);
    assert_eq!(report.passed + report.failed, report.ran);
    assert_eq!(
        report.names(TestCuVerdict::Failed).len(),
        usize::try_from(report.failed).unwrap()
    );
}
