//! `iscsi-ls`, `iscsi-inq`, `iscsi-readcapacity16`, `iscsi-perf`: discovery, logins, reads.

use hawser_proto::chap::Algorithm;
use hawser_target::{ChapConfig, DigestPolicy, KeyPolicy, TargetServer};

use super::*;

#[test]
fn targets_and_luns_are_listed() {
    let server = Server::start(
        TargetServer::builder()
            .portal("127.0.0.1:0".parse().unwrap())
            .portal_in_group(2, "[::1]:0".parse().unwrap())
            .target(target().lun(0, ram(64)).lun(300, ram(16)))
            .target(TargetConfig::new("iqn.2024-01.test:second").unwrap()),
    );
    let addresses = server.handle.local_addrs();
    for address in &addresses {
        let listed = run("iscsi-ls", &[&format!("iscsi://{address}")]);
        for name in [IQN, "iqn.2024-01.test:second"] {
            for (portal, group) in [(addresses[0], 1), (addresses[1], 2)] {
                let line = format!("Target:{name} Portal:{portal},{group}");
                assert!(listed.contains(&line), "{line} in\n{listed}");
            }
        }
    }
    let capacity = run("iscsi-readcapacity16", &[&server.url()]);
    assert!(capacity.contains("Total size:67108864"), "{capacity}");
    assert!(
        capacity.contains("LOGICAL BLOCK LENGTH IN BYTES:512"),
        "{capacity}"
    );
}

#[test]
fn a_hundred_targets_are_listed() {
    let mut builder = TargetServer::builder().portal("127.0.0.1:0".parse().unwrap());
    for n in 0..100 {
        builder = builder.target(TargetConfig::new(&format!("iqn.2024-01.test:n{n}")).unwrap());
    }
    let server = Server::start(builder);
    let listed = run("iscsi-ls", &[&format!("iscsi://{}", server.portal())]);
    assert_eq!(listed.matches("Target:").count(), 100, "{listed}");
}

#[test]
fn chap_in_one_direction() {
    for algorithm in [
        Algorithm::Md5,
        Algorithm::Sha1,
        Algorithm::Sha256,
        Algorithm::Sha3_256,
    ] {
        let chap = ChapConfig::one_way("user1", "secretsecret1".into()).algorithms(&[algorithm]);
        let server = Server::with_target(target().lun(0, ram(1)).chap(chap));
        let url = |user: &str| format!("iscsi://{user}@{}/{IQN}/0", server.portal());
        let (well, text) = try_run("iscsi-inq", &[&url("user1%secretsecret1")]);
        // This version of libiscsi has MD5 only.
        assert_eq!(well, algorithm == Algorithm::Md5, "{algorithm}: {text}");
        for wrong in ["user1%secretsecret2", "user2%secretsecret1"] {
            let (well, text) = try_run("iscsi-inq", &[&url(wrong)]);
            assert!(!well, "{wrong}: {text}");
        }
        let (well, text) = try_run("iscsi-inq", &[&server.url()]);
        assert!(!well, "without CHAP: {text}");
    }
}

#[test]
fn chap_in_both_directions() {
    let chap = ChapConfig::one_way("user1", "secretsecret1".into())
        .mutual("tgtuser", "targetsecret1".into());
    let server = Server::with_target(target().lun(0, ram(1)).chap(chap));
    let url = |secret: &str| {
        let portal = server.portal();
        let proof = format!("target_user=tgtuser&target_password={secret}");
        format!("iscsi://user1%secretsecret1@{portal}/{IQN}/0?{proof}")
    };
    run("iscsi-inq", &[&url("targetsecret1")]);
    let (well, text) = try_run("iscsi-inq", &[&url("targetsecret2")]);
    assert!(!well, "a target with the wrong secret: {text}");
    assert_eq!(server.handle.counters().refused_logins, 1);
}

#[test]
fn header_digests() {
    for policy in [DigestPolicy::Offered, DigestPolicy::Required] {
        let policy = KeyPolicy {
            header_digest: policy,
            ..KeyPolicy::default()
        };
        let server = Server::with_target(target().lun(0, ram(1)).policy(policy));
        let url = format!("{}?header_digest=crc32c", server.url());
        let text = run("iscsi-inq", &[&url]);
        assert!(text.contains("HAWSER"), "{text}");
    }
}

#[test]
fn reads_under_load() {
    let server = Server::with_target(target().lun(0, ram(64)));
    let text = run(
        "iscsi-perf",
        &["-m", "32", "-b", "8", "-t", "1", &server.url()],
    );
    assert!(text.contains("finished"), "{text}");
    assert!(server.handle.counters().commands > 1000);
    // Many answers leave in one call.
    let counters = server.handle.counters();
    assert!(counters.writes < counters.commands, "{counters:?}");
}
