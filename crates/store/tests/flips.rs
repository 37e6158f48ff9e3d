//! One flipped byte anywhere in the files: never a panic, never a wrong record, never a loss without a word.
mod fixtures;

use std::fs;
use std::sync::OnceLock;

use fixtures::*;
use hawser_store::*;
use proptest::prelude::*;

/// A closed store: the bytes of its files, and what is in it.
struct Original {
    database: Vec<u8>,
    key: Vec<u8>,
    lock: Vec<u8>,
    shown: Vec<String>,
}

fn original() -> &'static Original {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    ORIGINAL.get_or_init(|| {
        let dir = tempfile::tempdir().expect("directory");
        let store = open(dir.path()).expect("open");
        fill(&store);
        let (shown, _) = contents(&store);
        drop(store);
        let read = |name: &str| fs::read(dir.path().join(name)).expect(name);
        Original {
            database: read(DATABASE_FILE_NAME),
            key: read(KEY_FILE_NAME),
            lock: read("hawser.lock"),
            shown,
        }
    })
}

/// A position in the database where there is something: most of it is empty space.
fn position(choice: prop::sample::Index) -> usize {
    static POSITIONS: OnceLock<Vec<usize>> = OnceLock::new();
    let positions = POSITIONS.get_or_init(|| {
        let bytes = original().database.iter().enumerate();
        bytes
            .filter(|(_, byte)| **byte != 0)
            .map(|(index, _)| index)
            .collect()
    });
    *choice.get(positions)
}

/// Lays the original out in a fresh directory, with this database.
fn lay_out(database: &[u8]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("directory");
    let write = |name: &str, bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
    };
    write(DATABASE_FILE_NAME, database);
    write(KEY_FILE_NAME, &original().key);
    write("hawser.lock", &original().lock);
    dir
}

/// Opens a store with this database and holds it against the original.
fn judge(database: &[u8]) -> Result<(), TestCaseError> {
    let original = original();
    let dir = lay_out(database);
    let Ok(store) = open(dir.path()) else {
        return Ok(());
    };
    let (shown, damages) = contents(&store);
    for record in &shown {
        prop_assert!(original.shown.contains(record), "a wrong record: {record}");
    }
    if shown.len() != original.shown.len() {
        prop_assert!(
            !damages.is_empty(),
            "{} records are gone without a word",
            shown.len()
        );
    }
    // It can still be written to, or says that it cannot; what it then holds is right as well.
    let new = volume("/srv/new");
    let put = store.put(&new);
    drop(store);
    if put.is_ok() {
        let store = open(dir.path());
        prop_assert!(
            store.is_ok(),
            "after a change it does not open: {:?}",
            store.err()
        );
        let (again, _) = contents(&store.expect("just seen"));
        let shown_new = format!("{new:?} []");
        prop_assert!(again.contains(&shown_new), "the change is lost");
        for record in again.iter().filter(|record| **record != shown_new) {
            prop_assert!(original.shown.contains(record), "a wrong record: {record}");
        }
    }
    Ok(())
}

#[test]
fn the_original_is_sound() {
    let dir = lay_out(&original().database);
    let store = open(dir.path()).expect("open");
    assert_eq!(contents(&store), (original().shown.clone(), vec![]));
}

/// Every byte of the file header, the page headers and the schema, where a flip does most.
#[test]
fn every_header_byte_may_be_flipped() {
    let database = &original().database;
    let headers = (0..database.len())
        .step_by(4096)
        .flat_map(|page| page..page + 64);
    for index in (0..100).chain(headers) {
        let mut flipped = database.clone();
        flipped[index] ^= 0xff;
        judge(&flipped).unwrap_or_else(|error| panic!("byte {index}: {error}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_byte_may_be_flipped(choice in any::<prop::sample::Index>(), mask in 1..=255_u8) {
        let mut database = original().database.clone();
        let index = position(choice);
        database[index] ^= mask;
        judge(&database)?;
    }

    #[test]
    fn any_stretch_may_be_overwritten(
        choice in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let mut database = original().database.clone();
        let index = position(choice);
        for (into, from) in database[index..].iter_mut().zip(bytes) {
            *into = from;
        }
        judge(&database)?;
    }

    #[test]
    fn any_end_may_be_cut_off(position in any::<prop::sample::Index>()) {
        let database = &original().database;
        let dir = lay_out(&database[..position.index(database.len())]);
        prop_assert!(open(dir.path()).is_err());
    }
}
