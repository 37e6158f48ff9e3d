//! Writes one entry of the layout.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::unistd::{AccessFlags, access};
use tempfile::NamedTempFile;

use super::layout::{Content, Entry};

/// Mode of directories that are made.
const DIRECTORY_MODE: u32 = 0o755;

/// What became of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there now.
    Written,
    /// It was there already.
    Unchanged,
    /// Another is there, which belongs to the user.
    Kept,
}

/// Whether this user may put something below a directory, which need not be there yet.
pub(super) fn ensure_writable(directory: &Path) -> Result<()> {
    let above = directory.ancestors().find(|above| above.exists());
    let above = above.context("there is no directory to write to")?;
    access(above, AccessFlags::W_OK | AccessFlags::X_OK).with_context(|| {
        format!(
            "this user may not write to {}: install as root, or with --destdir DIR and let root copy it",
            above.display()
        )
    })
}

/// Puts an entry at a path, beside what is there and then in its place.
pub(super) fn place(entry: &Entry, path: &Path) -> Result<Outcome> {
    let directory = path.parent().context("the path has no directory")?;
    make_directory(directory)?;
    match &entry.content {
        Content::Bytes { bytes, mode } => write(path, bytes, *mode),
        Content::Configuration(bytes) if exists(path) => {
            let same = fs::read(path).is_ok_and(|there| there == *bytes);
            Ok(if same {
                Outcome::Unchanged
            } else {
                Outcome::Kept
            })
        }
        Content::Configuration(bytes) => write(path, bytes, 0o644),
        Content::Link(target) => link(path, target),
    }
}

/// Whether there is something of that name, be it a link that leads nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes a directory and those above it, readable for everybody whatever the umask says.
fn make_directory(directory: &Path) -> Result<()> {
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|above| !above.exists())
        .collect();
    for one in missing.into_iter().rev() {
        let made = DirBuilder::new().mode(DIRECTORY_MODE).create(one);
        made.and_then(|()| fs::set_permissions(one, Permissions::from_mode(DIRECTORY_MODE)))
            .with_context(|| format!("make the directory {}", one.display()))?;
    }
    ensure!(
        directory.is_dir(),
        "{} is no directory",
        directory.display()
    );
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<Outcome> {
    if is_so(path, bytes, mode) {
        return Ok(Outcome::Unchanged);
    }
    let directory = path.parent().context("the path has no directory")?;
    let mut beside = NamedTempFile::new_in(directory)?;
    beside.write_all(bytes)?;
    let file = beside.as_file();
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    beside.persist(path)?;
    Ok(Outcome::Written)
}

/// Whether a regular file with these bytes and this mode is there.
fn is_so(path: &Path, bytes: &[u8], mode: u32) -> bool {
    let Ok(metadata) = path.symlink_metadata() else {
        return false;
    };
    metadata.is_file()
        && metadata.permissions().mode() & 0o7777 == mode
        && fs::read(path).is_ok_and(|there| there == bytes)
}

fn link(path: &Path, target: &str) -> Result<Outcome> {
    if fs::read_link(path).is_ok_and(|there| there == Path::new(target)) {
        return Ok(Outcome::Unchanged);
    }
    let beside = name_beside(path)?;
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => symlink(target, &beside)?,
    }
    fs::rename(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))?;
    Ok(Outcome::Written)
}

/// A name of this process's own in the same directory.
fn name_beside(path: &Path) -> Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().context("the path has no name")?);
    name.push(format!(".{}", std::process::id()));
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: Content) -> Entry {
        Entry {
            path: PathBuf::from("/unused"),
            content,
        }
    }

    fn file(bytes: &[u8], mode: u32) -> Entry {
        entry(Content::Bytes {
            bytes: bytes.to_vec(),
            mode,
        })
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_whole_and_only_if_they_differ() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("usr/bin/program");
        let put = |bytes: &[u8], mode| place(&file(bytes, mode), &path).unwrap();
        assert_eq!(put(b"one", 0o755), Outcome::Written);
        assert_eq!(mode(path.parent().unwrap()), DIRECTORY_MODE);
        assert_eq!(put(b"one", 0o755), Outcome::Unchanged);
        // Who has the old one open keeps it: it was not written over.
        let old = fs::File::open(&path).unwrap();
        assert_eq!(put(b"two", 0o755), Outcome::Written);
        assert_eq!(io::read_to_string(old).unwrap(), "one");
        assert_eq!(put(b"two", 0o644), Outcome::Written);
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"two".to_vec(), 0o644)
        );
        assert_eq!(names(path.parent().unwrap()), ["program"]);
    }

    #[test]
    fn links_are_replaced_and_never_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("libx.so");
        let precious = directory.path().join("precious");
        fs::write(&precious, "mine").unwrap();
        symlink(&precious, &path).unwrap();
        let put = || place(&entry(Content::Link("libx.so.1".into())), &path).unwrap();
        assert_eq!(put(), Outcome::Written);
        assert_eq!(put(), Outcome::Unchanged);
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("libx.so.1"));
        assert_eq!(place(&file(b"x", 0o644), &path).unwrap(), Outcome::Written);
        assert!(path.symlink_metadata().unwrap().is_file());
        assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
        assert_eq!(names(directory.path()), ["libx.so", "precious"]);
    }

    #[test]
    fn a_configuration_that_is_there_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hawser.toml");
        let put = |text: &str| {
            let content = Content::Configuration(text.into());
            place(&entry(content), &path).unwrap()
        };
        assert_eq!(put("new"), Outcome::Written);
        assert_eq!(put("new"), Outcome::Unchanged);
        assert_eq!(put("newer"), Outcome::Kept);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_file(&path).unwrap();
        symlink("/no/such/file", &path).unwrap();
        assert_eq!(put("newest"), Outcome::Kept);
    }

    #[test]
    fn what_stands_in_the_way_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("usr"), "").unwrap();
        let path = directory.path().join("usr/bin/program");
        let error = place(&file(b"x", 0o755), &path).unwrap_err();
        assert!(format!("{error:#}").contains("usr/bin"), "{error:#}");
        let in_the_way = directory.path().join("directory/program");
        fs::create_dir_all(&in_the_way).unwrap();
        assert!(place(&file(b"x", 0o755), &in_the_way).is_err());
        assert_eq!(names(&directory.path().join("directory")), ["program"]);
    }
}
