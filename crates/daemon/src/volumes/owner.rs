//! Who else will mount a path: a line of `fstab(5)` or a systemd mount unit.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::mountinfo::unescape;

/// A longer table or unit file is not read.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Where systemd looks for units, in the order in which it prefers them (`systemd.unit(5)`).
/// Generators only repeat the fstab.
const UNIT_DIRECTORIES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// What a mount entry names as its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountSpec {
    /// A path.
    Path(PathBuf),
    /// `UUID=`, `LABEL=`, `PARTUUID=` or `PARTLABEL=` with its value.
    Tag(TagKind, String),
}

/// Kind of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagKind {
    /// UUID of the filesystem.
    Uuid,
    /// Label of the filesystem.
    Label,
    /// UUID of the partition.
    PartUuid,
    /// Name of the partition.
    PartLabel,
}

impl MountSpec {
    /// Reads the first field of an fstab line or a unit's `What=`.
    fn parse(text: &[u8]) -> Self {
        let tags = [
            ("UUID=", TagKind::Uuid),
            ("LABEL=", TagKind::Label),
            ("PARTUUID=", TagKind::PartUuid),
            ("PARTLABEL=", TagKind::PartLabel),
        ];
        for (prefix, kind) in tags {
            if let Some(value) = text.strip_prefix(prefix.as_bytes()) {
                let value = String::from_utf8_lossy(value);
                return Self::Tag(kind, value.trim_matches('"').to_owned());
            }
        }
        Self::Path(PathBuf::from(std::ffi::OsStr::from_bytes(text)))
    }
}

/// An entry by which the system mounts a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountOwner {
    /// The file that says so.
    pub(crate) file: PathBuf,
    /// What it mounts.
    pub(crate) spec: MountSpec,
    /// Type of the filesystem, `auto` or empty if not said.
    pub(crate) fs_type: String,
    /// Options.
    pub(crate) options: String,
}

/// Looks for the entry that mounts `path`; `root` is `/` outside tests.
///
/// A unit counts before the fstab, as systemd has it.
pub(crate) fn owner_of(root: &Path, path: &Path) -> io::Result<Option<MountOwner>> {
    let name = unit_name(path);
    for directory in UNIT_DIRECTORIES {
        let file = root.join(directory).join(&name);
        match std::fs::read_link(&file) {
            Ok(target) if target == Path::new("/dev/null") => return Ok(None),
            _ => {}
        }
        if let Some(text) = read_bounded(&file)? {
            return Ok(parse_unit(&file, &text));
        }
    }
    let fstab = root.join("etc/fstab");
    let Some(text) = read_bounded(&fstab)? else {
        return Ok(None);
    };
    Ok(parse_fstab(&fstab, &text, path))
}

fn read_bounded(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        // The unit's name has four characters for each byte that is no plain one: no file can be called so.
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    opened.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// The last line for `path`: a later line is mounted over an earlier one.
fn parse_fstab(file: &Path, text: &[u8], path: &Path) -> Option<MountOwner> {
    let lines = text.split(|byte| *byte == b'\n');
    let mut entries = lines.filter_map(|line| {
        let mut fields = line
            .split(|byte| byte.is_ascii_whitespace())
            .filter(|field| !field.is_empty());
        let spec = fields.next().filter(|field| !field.starts_with(b"#"))?;
        let place = PathBuf::from(unescape(fields.next()?));
        let text =
            |field: Option<&[u8]>| String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
        let fs_type = text(fields.next());
        let options = text(fields.next());
        let spec = MountSpec::parse(unescape(spec).as_bytes());
        let same = place.components().eq(path.components());
        same.then(|| MountOwner {
            file: file.to_owned(),
            spec,
            fs_type,
            options,
        })
    });
    entries.next_back()
}

/// `What=`, `Type=` and `Options=` of the section `[Mount]`; later lines count.
fn parse_unit(file: &Path, text: &[u8]) -> Option<MountOwner> {
    let text = String::from_utf8_lossy(text);
    let mut in_section = false;
    let (mut what, mut fs_type, mut options) = (None, String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_section = line == "[Mount]";
        } else if let (true, Some((key, value))) = (in_section, line.split_once('=')) {
            match key.trim_end() {
                "What" => what = Some(value.trim().to_owned()),
                "Type" => value.trim().clone_into(&mut fs_type),
                "Options" => value.trim().clone_into(&mut options),
                _ => {}
            }
        }
    }
    let spec = MountSpec::parse(what.filter(|what| !what.is_empty())?.as_bytes());
    Some(MountOwner {
        file: file.to_owned(),
        spec,
        fs_type,
        options,
    })
}

/// The name of the mount unit of a path (`systemd.unit(5)`, "string escaping for inclusion in unit
/// names").
pub(super) fn unit_name(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes();
    let parts: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
        .collect();
    if parts.is_empty() {
        return "-.mount".to_owned();
    }
    let joined = parts.join(&b'/');
    let mut name = String::with_capacity(joined.len() + 6);
    for (index, byte) in joined.iter().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if index == 0 => name.push_str("\\x2e"),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b':' | b'_' | b'.' => {
                name.push(char::from(*byte));
            }
            other => {
                // Writing to a String cannot fail.
                let _ = write!(name, "\\x{other:02x}");
            }
        }
    }
    name + ".mount"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    #[test]
    fn unit_names_are_escaped_as_systemd_does() {
        let names = [
            ("/", "-.mount"),
            ("/srv/data", "srv-data.mount"),
            ("/srv//data/", "srv-data.mount"),
            ("/srv/a-b", "srv-a\\x2db.mount"),
            ("/.hidden/x y", "\\x2ehidden-x\\x20y.mount"),
            ("/srv/ü", "srv-\\xc3\\xbc.mount"),
        ];
        for (path, name) in names {
            assert_eq!(unit_name(Path::new(path)), name);
        }
    }

    #[test]
    fn a_path_too_long_for_a_units_name_is_looked_up_in_fstab() {
        let root = tempfile::tempdir().unwrap();
        let place = format!("/srv/{}", "é".repeat(100));
        assert!(unit_name(Path::new(&place)).len() > 255);
        write(root.path(), "etc/systemd/system/x.mount", "");
        assert!(owner_of(root.path(), Path::new(&place)).unwrap().is_none());
        write(
            root.path(),
            "etc/fstab",
            &format!("/dev/a {place} xfs rw\n"),
        );
        let owner = owner_of(root.path(), Path::new(&place)).unwrap().unwrap();
        assert_eq!(owner.spec, MountSpec::Path("/dev/a".into()));
    }

    #[test]
    fn fstab_lines_are_found_by_their_mount_point() {
        let root = tempfile::tempdir().unwrap();
        let text = "# /dev/sdx /srv/data ext4\n\
                    UUID=\"1234-ab\" /srv/data  ext4 defaults,_netdev 0 2\n\
                    /dev/loop0\t/srv/with\\040blank xfs noauto\n\
                    /dev/loop1 /srv/with\\040blank/ ext4 rw\n\
                    PARTUUID=aa /srv/p auto defaults\n";
        write(root.path(), "etc/fstab", text);
        let found = |path: &str| owner_of(root.path(), Path::new(path)).unwrap();
        let data = found("/srv/data").unwrap();
        assert_eq!(data.spec, MountSpec::Tag(TagKind::Uuid, "1234-ab".into()));
        assert_eq!(
            (data.fs_type.as_str(), data.options.as_str()),
            ("ext4", "defaults,_netdev")
        );
        let blank = found("/srv/with blank").unwrap();
        assert_eq!(
            blank.spec,
            MountSpec::Path("/dev/loop1".into()),
            "the last line is on top"
        );
        assert!(found("/srv").is_none());
        assert!(matches!(
            found("/srv/p").unwrap().spec,
            MountSpec::Tag(TagKind::PartUuid, _)
        ));
    }

    #[test]
    fn a_unit_counts_before_fstab_and_a_masked_one_owns_nothing() {
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            "etc/fstab",
            "/dev/loop0 /srv/a-b ext4 rw\n/dev/loop0 /srv/m ext4 rw\n",
        );
        let unit = "[Unit]\nWhat=wrong\n[Mount]\nWhat = /dev/disk/by-uuid/1\nWhere=/srv/a-b\nType=xfs\n\
                    [Install]\nWhat=wrong\n";
        write(
            root.path(),
            "usr/lib/systemd/system/srv-a\\x2db.mount",
            unit,
        );
        let owner = owner_of(root.path(), Path::new("/srv/a-b"))
            .unwrap()
            .unwrap();
        assert_eq!(owner.spec, MountSpec::Path("/dev/disk/by-uuid/1".into()));
        assert_eq!(owner.fs_type, "xfs");
        write(root.path(), "etc/systemd/system/other.mount", "");
        let masked = root.path().join("etc/systemd/system/srv-m.mount");
        std::os::unix::fs::symlink("/dev/null", masked).unwrap();
        assert!(
            owner_of(root.path(), Path::new("/srv/m"))
                .unwrap()
                .is_none()
        );
    }
}
