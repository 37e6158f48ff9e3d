//! Finds foreign programs, and knows the Debian package of each.

use std::path::PathBuf;

use super::PeerError;

/// The list itself; `xtask` reads the same file.
const LIST: &str = include_str!("../../debian-packages.txt");

/// Directories that a plain user's `PATH` often lacks but where Debian keeps servers and disk tools.
const SYSTEM_DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// One line of the list of programs that tests start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebianProgram {
    /// The program's name.
    pub program: &'static str,
    /// The Debian package that holds it.
    pub package: &'static str,
    /// What the tests want it for.
    pub why: &'static str,
}

/// All foreign programs that tests of this workspace may start.
pub fn debian_programs() -> impl Iterator<Item = DebianProgram> {
    LIST.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (program, rest) = line.split_once(char::is_whitespace)?;
            let (package, why) = rest.trim_start().split_once(char::is_whitespace)?;
            Some(DebianProgram {
                program,
                package,
                why: why.trim_start(),
            })
        })
}

/// The full path of `program`, from `PATH` or the system directories.
///
/// # Errors
/// [`PeerError::MissingProgram`] with the package to install.
pub fn find_program(program: &str) -> Result<PathBuf, PeerError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| PeerError::MissingProgram {
            program: program.to_owned(),
            package: debian_programs()
                .find(|entry| entry.program == program)
                .map_or_else(|| "(not in the list)".to_owned(), |e| e.package.to_owned()),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = LIST.lines().filter(|l| !l.starts_with('#')).count();
        assert_eq!(debian_programs().count(), lines);
        assert!(debian_programs().any(|e| e.program == "tgtd" && e.package == "tgt"));
        assert!(debian_programs().all(|e| !e.why.is_empty()));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = find_program("hawser-no-such-program").unwrap_err();
        assert!(error.to_string().contains("hawser-no-such-program"));
    }
}
