//! `qemu-img` as a user of the NBD export (Debian package `qemu-utils`).

use std::path::Path;
use std::time::Duration;

use super::{PeerError, Tool};

/// What `qemu-img info` says about an image: a file name or a URI such as
/// `nbd+unix:///NAME?socket=PATH`.
///
/// # Errors
/// [`PeerError::Failed`] with qemu-img's words.
pub fn qemu_img_info(image: &str, limit: Duration) -> Result<serde_json::Value, PeerError> {
    let output = Tool::new("qemu-img")?
        .args(["info", "--output=json", image])
        .limit(limit)
        .run_ok()?;
    serde_json::from_str(&output.stdout).map_err(|error| PeerError::Unreadable {
        what: format!("what qemu-img info printed ({error})"),
        output: output.stdout,
    })
}

/// Copies `from` (raw) to the raw file `to`, or to an export that is there already when `to_exists`.
///
/// # Errors
/// [`PeerError::Failed`] with qemu-img's words.
pub fn qemu_img_convert(
    from: &str,
    to: &str,
    to_exists: bool,
    limit: Duration,
) -> Result<(), PeerError> {
    let mut tool = Tool::new("qemu-img")?.args(["convert", "-f", "raw", "-O", "raw"]);
    if to_exists {
        tool = tool.arg("-n");
    }
    tool.args([from, to]).limit(limit).run_ok().map(drop)
}

/// Compares a raw image or export with a raw file byte by byte.
///
/// # Errors
/// [`PeerError::Failed`] with the first difference.
pub fn qemu_img_compare(image: &str, file: &Path, limit: Duration) -> Result<(), PeerError> {
    Tool::new("qemu-img")?
        .args(["compare", "-f", "raw", "-F", "raw", image])
        .arg(file)
        .limit(limit)
        .run_ok()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_described_copied_and_compared() {
        let limit = Duration::from_secs(30);
        let directory = tempfile::tempdir().unwrap();
        let a = directory.path().join("a");
        let b = directory.path().join("b");
        std::fs::write(&a, vec![7; 1 << 16]).unwrap();
        let (from, to) = (a.to_str().unwrap(), b.to_str().unwrap());
        let info = qemu_img_info(from, limit).unwrap();
        assert_eq!(info["virtual-size"], 1 << 16);
        qemu_img_convert(from, to, false, limit).unwrap();
        qemu_img_compare(from, &b, limit).unwrap();
        std::fs::write(&b, vec![8; 1 << 16]).unwrap();
        let error = qemu_img_compare(from, &b, limit).unwrap_err();
        assert!(matches!(error, PeerError::Failed { .. }));
    }
}
