//! What is stored comes back, and every call says what it did.
mod fixtures;

use std::fs;

use fixtures::*;
use hawser_store::*;

#[test]
fn every_kind_survives_a_restart_with_its_secrets() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    fill(&store);
    let (before, damages) = contents(&store);
    assert_eq!((before.len(), damages), (FILLED, vec![]));
    for text in SECRETS {
        let bytes = format!("{:?}", text.as_bytes());
        assert!(
            before.iter().any(|shown| shown.contains(&bytes)),
            "{text} is not stored"
        );
    }
    drop(store);
    let store = open(dir.path()).expect("open again");
    assert_eq!(contents(&store), (before, vec![]));
    let (logins, _) = store.load::<PersistentLogin>();
    assert_eq!(logins, [login("iqn.x:a")]);
}

#[test]
fn no_file_of_the_store_holds_a_secret_in_the_clear_or_is_readable_by_others() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let store = open(&state).expect("open");
    fill(&store);
    assert_eq!(
        fs::metadata(&state).expect("directory").mode() & 0o777,
        0o700
    );
    let mut seen = 0;
    for entry in fs::read_dir(&state).expect("list") {
        let path = entry.expect("entry").path();
        assert_eq!(
            fs::metadata(&path).expect("file").mode() & 0o177,
            0,
            "{}",
            path.display()
        );
        let bytes = fs::read(&path).expect("read");
        for text in SECRETS {
            let found = bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes());
            assert!(!found, "{text} is in {}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 3, "database, key and lock");
    let (logins, _) = store.load::<PersistentLogin>();
    assert!(!format!("{logins:?}").contains("the-target-secret"));
}

#[test]
fn a_change_says_what_it_was() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let mut login = login("iqn.x:a");
    assert_eq!(store.put(&login).expect("put"), Change::Created);
    assert_eq!(store.put(&login).expect("put"), Change::Unchanged);
    let options = login.login_options.as_mut().expect("has some");
    options.secret = Some(secret("another-secret"));
    assert_eq!(store.put(&login).expect("put"), Change::Updated);
    let stored = store.get::<PersistentLogin>(&login.key()).expect("get");
    assert_eq!(stored, Some(login.clone()));
    assert_eq!(
        store
            .remove::<PersistentLogin>(&login.key())
            .expect("remove"),
        Change::Removed
    );
    assert_eq!(
        store
            .remove::<PersistentLogin>(&login.key())
            .expect("again"),
        Change::Unchanged
    );
    assert_eq!(
        store.get::<PersistentLogin>(&login.key()).expect("get"),
        None
    );
}

#[test]
fn several_are_removed_at_once_whether_they_are_there_or_not() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let keys = ["iqn.x:a", "iqn.x:b", "iqn.x:c"].map(|name| {
        let login = login(name);
        store.put(&login).expect("put");
        login.key()
    });
    let [first, _, last] = keys;
    let unknown = login("iqn.x:unknown").key();
    let removed = store.remove_all::<PersistentLogin>(&[first, unknown.clone(), last]);
    assert_eq!(removed.expect("removed"), Change::Removed);
    let nothing = store.remove_all::<PersistentLogin>(&[unknown]);
    assert_eq!(nothing.expect("none was there"), Change::Unchanged);
    drop(store);
    let store = open(dir.path()).expect("open again");
    assert_eq!(
        store.load::<PersistentLogin>(),
        (vec![login("iqn.x:b")], vec![])
    );
}

#[test]
fn the_same_target_may_have_a_login_for_each_path() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let first = login("iqn.x:a");
    let mut second = first.clone();
    second.portal = None;
    let mut third = first.clone();
    third.initiator.port_number = Some(0);
    for login in [&first, &second, &third] {
        assert_eq!(store.put(login).expect("put"), Change::Created);
    }
    // The case of an address or an instance makes no other one.
    let mut same = first.clone();
    same.initiator.instance = first.initiator.instance.to_uppercase();
    assert_eq!(same.key(), first.key());
    assert_eq!(store.load::<PersistentLogin>().0, [first, second, third]);
}

#[test]
fn listings_keep_the_order_of_adding() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    for path in ["/c", "/a", "/b"] {
        store.put(&volume(path)).expect("put");
    }
    let mut changed = volume("/c");
    changed.mounted_by = MountedBy::System;
    store.put(&changed).expect("put");
    let paths = |store: &Store| -> Vec<String> {
        store
            .load::<BoundVolume>()
            .0
            .into_iter()
            .map(|volume| volume.path)
            .collect()
    };
    assert_eq!(paths(&store), ["/c", "/a", "/b"]);
    drop(store);
    assert_eq!(paths(&open(dir.path()).expect("open")), ["/c", "/a", "/b"]);
}

#[test]
fn replacing_all_is_one_step_and_touches_only_its_kind() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    fill(&store);
    let new = [volume("/srv/new"), volume("/srv/a")];
    assert_eq!(store.replace_all(&new).expect("replace"), Change::Updated);
    assert_eq!(store.replace_all(&new).expect("replace"), Change::Unchanged);
    let paths: Vec<_> = store
        .load::<BoundVolume>()
        .0
        .into_iter()
        .map(|volume| volume.path)
        .collect();
    assert_eq!(paths, ["/srv/a", "/srv/new"], "what stays keeps its place");
    assert_eq!(
        store.replace_all::<BoundVolume>(&[]).expect("clear"),
        Change::Updated
    );
    assert_eq!(contents(&store).0.len(), FILLED - 2);
}

#[test]
fn discovered_targets_go_with_their_portal() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let (one, two) = (portal("192.0.2.1"), portal("192.0.2.2"));
    let orphan = store
        .put(&discovered(&one, "iqn.x:a"))
        .expect_err("no portal yet");
    assert!(matches!(orphan, StoreError::NoParent { .. }), "{orphan:?}");
    for portal in [&one, &two] {
        store.put(portal).expect("portal");
        let told = ["iqn.x:a", "iqn.x:b"].map(|name| discovered(portal, name));
        store
            .replace_discovered(&source(portal), &told)
            .expect("targets");
    }
    let isns = DiscoveredTarget {
        written_name: None,
        source: DiscoverySource::Isns("192.0.2.9".to_owned()),
        ..discovered(&one, "iqn.x:c")
    };
    store.put(&isns).expect("iSNS target");

    // An answer replaces the earlier one of its portal only.
    let answer = [discovered(&one, "iqn.x:d")];
    store
        .replace_discovered(&source(&one), &answer)
        .expect("replace");
    assert_eq!(store.load::<DiscoveredTarget>().0.len(), 4);
    let mixed = store
        .replace_discovered(&source(&two), &answer)
        .expect_err("of another source");
    assert!(matches!(mixed, StoreError::Encoding { .. }), "{mixed:?}");

    store
        .remove::<SendTargetsPortal>(&one.key())
        .expect("remove");
    drop(store);
    let store = open(dir.path()).expect("open");
    let left: Vec<_> = store
        .load::<DiscoveredTarget>()
        .0
        .into_iter()
        .map(|target| target.source)
        .collect();
    assert_eq!(left, [source(&two), source(&two), isns.source]);
    assert_eq!(store.damages(), []);
}

#[test]
fn several_threads_share_a_store() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for index in 0..5 {
                    let path = format!("/srv/{thread}-{index}");
                    assert_eq!(store.put(&volume(&path)).expect("put"), Change::Created);
                }
            });
        }
    });
    assert_eq!(store.load::<BoundVolume>().0.len(), 20);
    drop(store);
    assert_eq!(
        open(dir.path())
            .expect("open")
            .load::<BoundVolume>()
            .0
            .len(),
        20
    );
}

#[test]
fn servers_and_identities_are_the_same_whatever_their_case_and_differ_by_port() {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    let server = |address: &str| IsnsServer {
        address: address.to_owned(),
        added_at_ms: 0,
    };
    assert_eq!(store.put(&server("isns.x")).expect("put"), Change::Created);
    assert_eq!(store.put(&server("ISNS.X")).expect("put"), Change::Updated);
    assert_eq!(store.load::<IsnsServer>().0, [server("ISNS.X")]);

    let one = ike_info("san.example");
    let mut other_port = one.clone();
    other_port.initiator.source = Some("192.0.2.8".to_owned());
    let mut other_id = one.clone();
    other_id.id_type = 3;
    for info in [&one, &other_port, &other_id] {
        assert_eq!(store.put(info).expect("put"), Change::Created);
    }
    let mut same = one.clone();
    same.initiator.instance = one.initiator.instance.to_uppercase();
    same.key = Some(secret("another-preshared-key"));
    assert_eq!(store.put(&same).expect("put"), Change::Updated);
    assert_eq!(store.load::<IkeInfo>().0, [same, other_port, other_id]);

    let mut upper = tunnel("SAN.example");
    assert_eq!(
        store.put(&tunnel("san.example")).expect("put"),
        Change::Created
    );
    upper.outer = "198.51.100.2".to_owned();
    assert_eq!(store.put(&upper).expect("put"), Change::Updated);
    assert_eq!(store.load::<TunnelAddress>().0, [upper]);
}
