//! The command line of the installation, and the directories that follow from it.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

const USAGE: &str =
    "usage: cargo xtask install [--prefix DIR] [--libdir DIR] [--destdir DIR] [--debug]
  --prefix DIR    where it will run from [default: /usr/local]
  --libdir DIR    where the library goes, below the prefix unless it begins with / [default: lib]
  --destdir DIR   put everything below this directory instead of /, for packages
  --debug         the debug build instead of the release build";

/// Prefixes whose programs belong to the machine: systemd looks below them, and the configuration is in `/etc`.
const SYSTEM_PREFIXES: [&str; 2] = ["/usr", "/usr/local"];

/// What was asked for.
#[derive(Debug)]
pub(super) struct Options {
    /// Where programs and data will be found when they run.
    pub(super) prefix: PathBuf,
    /// Where the library will be found.
    pub(super) libdir: PathBuf,
    /// A directory that stands for `/` while files are written.
    destdir: Option<PathBuf>,
    /// Installs the debug build.
    pub(super) debug: bool,
}

impl Options {
    /// Reads the words behind `install`.
    pub(super) fn read(words: &[&str]) -> Result<Self> {
        let mut prefix = PathBuf::from("/usr/local");
        let mut libdir = PathBuf::from("lib");
        let mut destdir = None;
        let mut debug = false;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().filter(|value| !value.is_empty());
                value.with_context(|| format!("{word} needs a directory\n{USAGE}"))
            };
            match *word {
                "--prefix" => prefix = PathBuf::from(value()?),
                "--libdir" => libdir = PathBuf::from(value()?),
                "--destdir" => destdir = Some(std::path::absolute(value()?)?),
                "--debug" => debug = true,
                "--help" => bail!("{USAGE}"),
                other => bail!("there is no option {other}\n{USAGE}"),
            }
        }
        ensure!(prefix.is_absolute(), "the prefix must begin with /");
        let prefix = without_end(&prefix);
        let libdir = without_end(&prefix.join(libdir));
        for directory in [&prefix, &libdir] {
            ensure_plain(directory)?;
        }
        Ok(Self {
            prefix,
            libdir,
            destdir,
            debug,
        })
    }

    /// Where a file is written that will be found at `path`.
    pub(super) fn staged(&self, path: &Path) -> PathBuf {
        match &self.destdir {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_owned(),
        }
    }

    /// Whether the installation is the machine's own.
    pub(super) fn is_for_the_system(&self) -> bool {
        SYSTEM_PREFIXES
            .iter()
            .any(|prefix| self.prefix == Path::new(prefix))
    }

    /// What is left to be done by hand, because it concerns the machine and not the files.
    pub(super) fn next_steps(&self) -> &'static [&'static str] {
        if self.destdir.is_some() || !self.is_for_the_system() {
            return &[];
        }
        &[
            "ldconfig",
            "systemd-tmpfiles --create hawser.conf",
            "systemctl daemon-reload",
            "systemctl enable --now hawserd.service hawser-volumes.service hawser-volumes.target",
        ]
    }
}

/// The path without a slash at its end and without doubled ones.
fn without_end(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Units and `iscsidsc.pc` would take blanks, `%` or `$` for something else.
fn ensure_plain(directory: &Path) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._+-~@:".contains(c);
    let text = directory.to_str().unwrap_or(" ");
    ensure!(
        text.chars().all(plain),
        "{} has characters that units and pkg-config read as something else",
        directory.display()
    );
    ensure!(
        !directory
            .components()
            .any(|part| part == Component::ParentDir),
        "{} goes up again: write the directory itself",
        directory.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_follow_from_the_prefix() {
        let options = Options::read(&[]).unwrap();
        assert_eq!(options.prefix, Path::new("/usr/local"));
        assert_eq!(options.libdir, Path::new("/usr/local/lib"));
        assert!(!options.debug && options.is_for_the_system());
        assert!(!options.next_steps().is_empty());
        let words = ["--debug", "--prefix", "/usr/", "--libdir", "lib64"];
        let options = Options::read(&words).unwrap();
        assert_eq!(options.libdir, Path::new("/usr/lib64"));
        assert!(options.debug && options.is_for_the_system());
        let words = ["--prefix", "/opt/hawser", "--libdir", "/lib64"];
        let options = Options::read(&words).unwrap();
        assert_eq!(options.libdir, Path::new("/lib64"));
        assert!(!options.is_for_the_system() && options.next_steps().is_empty());
    }

    #[test]
    fn files_are_staged_below_the_destination() {
        let options = Options::read(&["--destdir", "/stage"]).unwrap();
        let staged = options.staged(Path::new("/usr/local/bin/hawser"));
        assert_eq!(staged, Path::new("/stage/usr/local/bin/hawser"));
        assert!(options.next_steps().is_empty());
        let options = Options::read(&["--destdir", "stage"]).unwrap();
        assert!(options.staged(Path::new("/etc")).is_absolute());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for words in [
            &["--prefix"][..],
            &["--prefix", ""],
            &["--prefix", "usr"],
            &["--prefix", "/opt/with blank"],
            &["--prefix", "/opt/100%"],
            &["--prefix", "/opt/../usr"],
            &["--libdir", ".."],
            &["--libdir", "$LIB"],
            &["--strip"],
            &["/usr"],
        ] {
            assert!(Options::read(words).is_err(), "{words:?}");
        }
    }
}
