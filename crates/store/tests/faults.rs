//! Each way in which a store can be unusable is told apart, and none loses what was stored.
mod fixtures;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fixtures::*;
use hawser_store::*;
use rusqlite::Connection;

fn database(dir: &Path) -> std::path::PathBuf {
    dir.join(DATABASE_FILE_NAME)
}

/// A closed store with records, and what is in it.
fn filled() -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().expect("directory");
    let store = open(dir.path()).expect("open");
    fill(&store);
    let (shown, damages) = contents(&store);
    assert!(damages.is_empty());
    (dir, shown)
}

/// Changes the database behind the store's back.
fn tamper(dir: &Path, sql: &str) -> usize {
    Connection::open(database(dir))
        .and_then(|db| db.execute(sql, []))
        .expect(sql)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

#[test]
fn a_second_opener_is_told_that_the_store_is_in_use() {
    let (dir, shown) = filled();
    let first = open(dir.path()).expect("open");
    let second = open(dir.path()).expect_err("in use");
    assert!(
        matches!(&second, StoreError::InUse { dir: d } if d == dir.path()),
        "{second:?}"
    );
    assert!(!second.advice().is_empty());
    assert_eq!(contents(&first).0, shown, "the first goes on");
    drop(first);
    open(dir.path()).expect("free again");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let (dir, shown) = filled();
    let version: i64 = Connection::open(database(dir.path()))
        .and_then(|db| db.pragma_query_value(None, "user_version", |row| row.get(0)))
        .expect("version");
    tamper(dir.path(), "PRAGMA user_version = 77");
    let newer = open(dir.path()).expect_err("newer");
    assert!(
        matches!(newer, StoreError::NewerSchema { found: 77, .. }),
        "{newer:?}"
    );
    tamper(dir.path(), &format!("PRAGMA user_version = {version}"));
    assert_eq!(contents(&open(dir.path()).expect("open")).0, shown);
}

#[test]
fn the_wrong_key_is_told_and_the_right_one_still_opens() {
    let (dir, shown) = filled();
    let key = dir.path().join(KEY_FILE_NAME);
    let right = fs::read(&key).expect("read");
    fs::write(&key, [7; 32]).expect("write");
    let wrong = open(dir.path()).expect_err("wrong key");
    assert!(matches!(wrong, StoreError::WrongKey { .. }), "{wrong:?}");
    fs::write(&key, right).expect("write");
    assert_eq!(contents(&open(dir.path()).expect("open")), (shown, vec![]));
}

#[test]
fn a_lost_key_is_never_replaced_by_a_new_one() {
    let (dir, _) = filled();
    let key = dir.path().join(KEY_FILE_NAME);
    fs::remove_file(&key).expect("remove");
    let missing = open(dir.path()).expect_err("no key");
    assert!(
        matches!(missing, StoreError::KeyMissing { .. }),
        "{missing:?}"
    );
    assert!(!key.exists());
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let (dir, _) = filled();
    let key = dir.path().join(KEY_FILE_NAME);
    for mode in [0o640, 0o604, 0o660, 0o610, 0o601] {
        set_mode(&key, mode);
        let loose = open(dir.path()).expect_err("loose");
        assert!(
            matches!(loose, StoreError::LooseKey { mode: m, .. } if m == mode),
            "{loose:?}"
        );
    }
    set_mode(&key, 0o400);
    open(dir.path()).expect("open");
}

#[test]
fn a_key_file_that_is_none_is_refused() {
    let (dir, _) = filled();
    let key = dir.path().join(KEY_FILE_NAME);
    for len in [0, 31, 33] {
        fs::write(&key, vec![7; len]).expect("write");
        let bad = open(dir.path()).expect_err("wrong length");
        assert!(matches!(bad, StoreError::BadKey { .. }), "{len}: {bad:?}");
    }
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&key, &elsewhere).expect("rename");
    std::os::unix::fs::symlink(&elsewhere, &key).expect("link");
    let linked = open(dir.path()).expect_err("a link");
    assert!(matches!(linked, StoreError::BadKey { .. }), "{linked:?}");
    fs::remove_file(&key).expect("remove");
    fs::create_dir(&key).expect("directory");
    let directory = open(dir.path()).expect_err("a directory");
    assert!(
        matches!(directory, StoreError::BadKey { .. }),
        "{directory:?}"
    );
}

#[test]
fn a_systemd_credential_is_used_in_place_of_a_key_file() {
    let dir = tempfile::tempdir().expect("directory");
    let credentials = tempfile::tempdir().expect("directory");
    assert!(matches!(
        KeySource::choose(Some(credentials.path()), dir.path()),
        KeySource::File(path) if path == dir.path().join(KEY_FILE_NAME)
    ));
    let path = credentials.path().join(CREDENTIAL_NAME);
    fs::write(&path, "a passphrase of more than thirty-two bytes").expect("write");
    set_mode(&path, 0o400);
    let source = KeySource::choose(Some(credentials.path()), dir.path());
    assert_eq!(source, KeySource::Credential(path.clone()));
    let store = Store::open(dir.path(), &source).expect("open");
    fill(&store);
    let shown = contents(&store);
    drop(store);
    assert!(!dir.path().join(KEY_FILE_NAME).exists());
    assert_eq!(
        contents(&Store::open(dir.path(), &source).expect("open")),
        shown
    );
    let other = open(dir.path()).expect_err("no key file");
    assert!(matches!(other, StoreError::KeyMissing { .. }), "{other:?}");
    set_mode(&path, 0o600);
    fs::write(&path, "too short").expect("write");
    let short = Store::open(dir.path(), &source).expect_err("too short");
    assert!(matches!(short, StoreError::BadKey { .. }), "{short:?}");
}

#[test]
fn a_truncated_database_is_refused_whatever_its_length() {
    let (dir, shown) = filled();
    let path = database(dir.path());
    let whole = fs::read(&path).expect("read");
    assert!(whole.len() >= 2 * 4096, "more than a page");
    for len in [
        1,
        15,
        16,
        99,
        100,
        4095,
        4096,
        4097,
        whole.len() - 4096,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..len]).expect("truncate");
        let truncated = open(dir.path()).expect_err(&format!("truncated to {len}"));
        assert!(
            matches!(truncated, StoreError::Corrupt { .. }),
            "{len}: {truncated:?}"
        );
    }
    fs::write(&path, &whole).expect("restore");
    assert_eq!(contents(&open(dir.path()).expect("open")), (shown, vec![]));
}

#[test]
fn a_database_that_is_gone_or_empty_is_not_taken_for_a_new_one() {
    let (dir, _) = filled();
    let path = database(dir.path());
    fs::write(&path, b"").expect("truncate");
    let empty = open(dir.path()).expect_err("empty");
    assert!(
        matches!(empty, StoreError::DatabaseMissing { .. }),
        "{empty:?}"
    );
    fs::remove_file(&path).expect("remove");
    let gone = open(dir.path()).expect_err("gone");
    assert!(
        matches!(gone, StoreError::DatabaseMissing { .. }),
        "{gone:?}"
    );
    assert!(!path.exists(), "none was made");
}

#[test]
fn a_foreign_file_is_refused() {
    let dir = tempfile::tempdir().expect("directory");
    fs::write(database(dir.path()), "no database at all ".repeat(4096)).expect("write");
    let text = open(dir.path()).expect_err("text");
    assert!(matches!(text, StoreError::Corrupt { .. }), "{text:?}");
    fs::remove_file(database(dir.path())).expect("remove");
    tamper(dir.path(), "CREATE TABLE x (y)");
    tamper(dir.path(), "PRAGMA user_version = 1");
    let foreign = open(dir.path()).expect_err("someone else's database");
    assert!(matches!(foreign, StoreError::Corrupt { .. }), "{foreign:?}");
}

#[test]
fn a_schema_that_was_changed_is_refused() {
    let (dir, _) = filled();
    tamper(dir.path(), "ALTER TABLE records ADD COLUMN more");
    let changed = open(dir.path()).expect_err("changed");
    assert!(matches!(changed, StoreError::Corrupt { .. }), "{changed:?}");
}

#[test]
fn a_directory_that_cannot_be_written_to_is_told() {
    // /sys takes no directories from anyone, root included.
    let sys = open(Path::new("/sys/hawser-store-test")).expect_err("not here");
    assert!(matches!(sys, StoreError::Unwritable { .. }), "{sys:?}");
    let dir = tempfile::tempdir().expect("directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("write");
    let below = open(&file.join("state")).expect_err("below a file");
    assert!(matches!(below, StoreError::Unwritable { .. }), "{below:?}");
}

#[test]
fn a_full_disk_refuses_the_change_and_keeps_the_rest() {
    let dir = tempfile::tempdir().expect("directory");
    let key = KeySource::File(dir.path().join(KEY_FILE_NAME));
    let limits = Limits {
        database_bytes: 16 * 4096,
        ..Limits::default()
    };
    let store = Store::open_with(dir.path(), &key, limits).expect("open");
    let mut stored = 0;
    let full = loop {
        let mut large = volume(&format!("/srv/{stored}"));
        large.mount_options = "x".repeat(2000);
        match store.put(&large) {
            Ok(change) => assert_eq!(change, Change::Created),
            Err(error) => break error,
        }
        stored += 1;
        assert!(stored < 100, "the disk is never full");
    };
    assert!(matches!(full, StoreError::DiskFull { .. }), "{full:?}");
    assert!(stored > 5);
    assert_eq!(store.load::<BoundVolume>().0.len(), stored);

    // Space can be made in the full store itself, and used again.
    store
        .remove::<BoundVolume>(&"/srv/0".to_owned())
        .expect("remove");
    assert_eq!(
        store.put(&volume("/srv/small")).expect("put"),
        Change::Created
    );
    drop(store);
    let store = open(dir.path()).expect("open");
    assert_eq!(store.load::<BoundVolume>().0.len(), stored);
    assert_eq!(store.damages(), []);
}

#[test]
fn too_many_or_too_large_records_are_refused() {
    let dir = tempfile::tempdir().expect("directory");
    let key = KeySource::File(dir.path().join(KEY_FILE_NAME));
    let limits = Limits {
        records: 2,
        ..Limits::default()
    };
    let store = Store::open_with(dir.path(), &key, limits).expect("open");
    store.put(&volume("/a")).expect("first");
    store.put(&volume("/b")).expect("second");
    let third = store.put(&volume("/c")).expect_err("third");
    assert!(
        matches!(third, StoreError::TooLarge { limit: 2, .. }),
        "{third:?}"
    );
    let mut changed = volume("/b");
    changed.mount_options = "x".repeat(1 << 20);
    let large = store.put(&changed).expect_err("large");
    assert!(matches!(large, StoreError::TooLarge { .. }), "{large:?}");
    changed.mount_options = "ro".to_owned();
    assert_eq!(
        store.put(&changed).expect("a change is no addition"),
        Change::Updated
    );
}

#[test]
fn a_damaged_record_is_named_and_refused_and_the_rest_go_on() {
    let (dir, shown) = filled();
    let changed = tamper(
        dir.path(),
        "UPDATE records SET body = replace(CAST(body AS TEXT), 'ext4', 'ext3') WHERE key = '\"/srv/a\"'",
    );
    assert_eq!(changed, 1);
    let store = open(dir.path()).expect("open");
    let damages = store.damages();
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!(
        (damages[0].kind.as_str(), damages[0].key.as_str()),
        ("bound-volume", "\"/srv/a\"")
    );
    assert_eq!(
        store.load::<BoundVolume>(),
        (vec![volume("/srv/z")], damages.clone())
    );
    let refused = store
        .get::<BoundVolume>(&"/srv/a".to_owned())
        .expect_err("damaged");
    assert!(matches!(&refused, StoreError::Damaged(damage) if *damage == damages[0]));

    // Storing it again heals it.
    assert_eq!(store.put(&volume("/srv/a")).expect("put"), Change::Updated);
    assert_eq!(store.damages(), []);
    drop(store);
    let (mut healed, damages) = contents(&open(dir.path()).expect("open"));
    let mut shown = shown;
    shown.sort();
    healed.sort();
    assert_eq!((healed, damages), (shown, vec![]));
}

#[test]
fn a_record_cannot_be_swapped_for_another_or_an_older_one() {
    let (dir, _) = filled();
    // The body of one volume under the key of the other.
    tamper(
        dir.path(),
        "UPDATE records SET (body, checksum) = (SELECT body, checksum FROM records \
         WHERE key = '\"/srv/z\"') WHERE key = '\"/srv/a\"'",
    );
    let store = open(dir.path()).expect("open");
    assert_eq!(store.damages().len(), 1);
    assert_eq!(store.load::<BoundVolume>().0, [volume("/srv/z")]);
}

#[test]
fn a_record_that_is_gone_is_missed_until_the_damage_is_discarded() {
    let (dir, shown) = filled();
    assert_eq!(
        tamper(dir.path(), "DELETE FROM records WHERE key = '\"/srv/a\"'"),
        1
    );
    for _ in 0..2 {
        let store = open(dir.path()).expect("open");
        let damages = store.damages();
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].reason.contains("missing"), "{damages:?}");
        // A change does not make it forgotten.
        store.put(&volume("/srv/new")).expect("put");
        store
            .remove::<BoundVolume>(&"/srv/new".to_owned())
            .expect("remove");
    }
    let store = open(dir.path()).expect("open");
    assert_eq!(store.discard_damaged().expect("discard").len(), 1);
    assert_eq!(store.damages(), []);
    drop(store);
    let (left, damages) = contents(&open(dir.path()).expect("open"));
    assert_eq!((left.len(), damages), (shown.len() - 1, vec![]));
}

#[test]
fn an_older_copy_of_the_database_is_told_to_be_old() {
    let (dir, shown) = filled();
    let older = fs::read(database(dir.path())).expect("copy");
    let store = open(dir.path()).expect("open");
    store.put(&volume("/srv/new")).expect("put");
    drop(store);
    fs::write(database(dir.path()), older).expect("restore");
    let store = open(dir.path()).expect("open");
    let (left, damages) = contents(&store);
    assert_eq!(left, shown);
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(
        damages[0].reason.contains("the last 1 changes"),
        "{damages:?}"
    );
    // Told once: a backup that was put back on purpose is taken as it is.
    store.put(&volume("/srv/newer")).expect("put");
    drop(store);
    assert_eq!(open(dir.path()).expect("open").damages(), []);
}

#[test]
fn a_damaged_portal_takes_its_targets_along_when_it_is_stored_again() {
    let (dir, _) = filled();
    tamper(
        dir.path(),
        "UPDATE records SET checksum = x'00' WHERE kind = 'send-targets-portal'",
    );
    let store = open(dir.path()).expect("open");
    assert_eq!(store.load::<SendTargetsPortal>().0, []);
    assert_eq!(store.load::<DiscoveredTarget>().0.len(), 2);
    let portal = portal("192.0.2.7");
    assert_eq!(store.put(&portal).expect("put"), Change::Updated);
    assert_eq!(store.load::<DiscoveredTarget>().0, []);
    store
        .replace_discovered(&source(&portal), &[discovered(&portal, "iqn.x:a")])
        .expect("put");
    let before = contents(&store).0;
    drop(store);
    assert_eq!(contents(&open(dir.path()).expect("open")).0, before);
}

#[test]
fn damaged_records_can_be_discarded() {
    let (dir, shown) = filled();
    tamper(
        dir.path(),
        "UPDATE records SET body = NULL WHERE kind = 'send-targets-portal'",
    );
    tamper(
        dir.path(),
        "UPDATE records SET kind = x'ff00' WHERE kind = 'setting'",
    );
    let store = open(dir.path()).expect("open");
    assert_eq!(store.discard_damaged().expect("discard").len(), 2);
    assert_eq!(store.damages(), []);
    let (left, _) = contents(&store);
    // The portal's two targets went with it.
    assert_eq!(left.len(), shown.len() - 4);
    drop(store);
    assert_eq!(contents(&open(dir.path()).expect("open")), (left, vec![]));
}

#[test]
fn a_damaged_manifest_is_told_and_harms_no_record() {
    let (dir, _) = filled();
    tamper(dir.path(), "UPDATE manifest SET count = count + 1");
    let store = open(dir.path()).expect("open");
    let damages = store.damages();
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(damages[0].reason.contains("manifest"), "{damages:?}");
    assert_eq!(contents(&store).0.len(), FILLED, "no record suffers");
    store.discard_damaged().expect("discard");
    drop(store);
    assert_eq!(open(dir.path()).expect("open").damages(), []);
}
