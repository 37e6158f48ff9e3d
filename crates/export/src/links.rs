//! Stable names for exports: `disk/by-target/<iqn>-lun-<n>` and `disk/by-id/<identity>`.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::layout::fnv1a;

/// The longest file name of Linux (`NAME_MAX`), less what the name of a temporary link adds.
const MAX_NAME: usize = 255 - TEMPORARY_SUFFIX.len() - 1;

/// Bytes of a name that stay when it is cut: the rest is a hash of the whole.
const CUT_NAME: usize = MAX_NAME - 17;

/// A link that is being made.
const TEMPORARY_SUFFIX: &str = ".new";

/// Encodes a name that a target said into one that is safe as a file name and on a terminal: as udev
/// does, what is not a letter, a digit or one of `#+-.:=@_` becomes `\xNN`, byte by byte; so does a
/// dot at the start. Different names stay different; one too long for a file name is cut and ends in
/// a hash of the whole.
#[must_use]
pub fn encode_name(name: &str) -> String {
    let mut encoded = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"#+-.:=@_".contains(&byte);
        if plain && !(index == 0 && byte == b'.') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if encoded.len() > MAX_NAME {
        encoded.truncate(CUT_NAME);
        encoded.push_str(&format!("-{:016x}", fnv1a(&[name.as_bytes()])));
    }
    encoded
}

/// The name of a logical unit below `disk/by-target`.
#[must_use]
pub fn by_target_name(target: &str, lun: u64) -> String {
    encode_name(&format!("{target}-lun-{lun}"))
}

/// Makes `link` point at `target`, in place of what it pointed at before: whoever looks sees the old
/// link or the new one, never none. The link's directory is made when it is missing.
///
/// # Errors
/// What the file system said.
pub fn make(link: &Path, target: &Path) -> io::Result<()> {
    if let Some(directory) = link.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut temporary = link.as_os_str().to_owned();
    temporary.push(TEMPORARY_SUFFIX);
    let temporary = PathBuf::from(temporary);
    remove(&temporary)?;
    symlink(target, &temporary)?;
    fs::rename(&temporary, link)
}

/// Removes a link; that it is gone already is success.
///
/// # Errors
/// What the file system said.
pub fn remove(link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_plain_ones() {
        for (name, encoded) in [
            ("iqn.2024-01.test:disk_1", "iqn.2024-01.test:disk_1"),
            ("../../etc/passwd", r"\x2e.\x2f..\x2fetc\x2fpasswd"),
            (".", r"\x2e"),
            ("", ""),
            ("a b\n\u{1b}[31m", r"a\x20b\x0a\x1b\x5b31m"),
            (r"a\x2f", r"a\x5cx2f"),
            ("é", r"\xc3\xa9"),
        ] {
            assert_eq!(encode_name(name), encoded);
        }
        assert_eq!(by_target_name("iqn.a:b/c", 3), r"iqn.a:b\x2fc-lun-3");
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let (one, two) = (encode_name(&"/".repeat(300)), encode_name(&"/".repeat(301)));
        assert!(one.len() <= MAX_NAME && two.len() <= MAX_NAME);
        assert_ne!(one, two);
    }

    #[test]
    fn a_link_is_replaced_and_removed_twice() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("disk/by-id/one");
        make(&link, Path::new("/dev/first")).unwrap();
        make(&link, Path::new("/dev/second")).unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("/dev/second"));
        let names: Vec<_> = fs::read_dir(link.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1);
        remove(&link).unwrap();
        remove(&link).unwrap();
        assert!(fs::symlink_metadata(&link).is_err());
    }
}
