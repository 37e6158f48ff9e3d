//! Which file goes where, and what is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::options::Options;

/// The programs, in `bin`.
pub(super) const PROGRAMS: [&str; 4] = ["hawser", "hawserd", "hawser-target", "iscsicli"];
/// The library, as cargo and the linker know it.
pub(super) const LIBRARY: &str = "libiscsidsc.so";

/// Headers, in `include`.
const HEADERS: [&str; 2] = ["iscsidsc.h", "iscsierr.h"];
/// What is in `share/doc/hawser`, and where it is in the tree.
const DOCUMENTS: [&str; 5] = [
    "packaging/hawser.toml",
    "CHANGELOG.md",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
];
/// Folders of `packaging`, and where what is in them goes below `lib`.
const FOLDERS: [(&str, &str); 3] = [
    ("systemd", "systemd/system"),
    ("sysusers.d", "sysusers.d"),
    ("tmpfiles.d", "tmpfiles.d"),
];
/// Shells, and how the completions of a program are called where they look for them.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "share/bash-completion/completions/", ""),
    ("zsh", "share/zsh/site-functions/_", ""),
    ("fish", "share/fish/vendor_completions.d/", ".fish"),
];
/// Where the units in `packaging` say that the programs are.
const UNIT_PROGRAMS: &str = "=/usr/bin/";
/// The one place where the daemon of the machine looks for its configuration.
const CONFIGURATION: &str = "/etc/hawser/hawser.toml";

/// A file or link to install.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it will be found.
    pub(super) path: PathBuf,
    /// What it is.
    pub(super) content: Content,
}

/// What an entry is.
#[derive(Debug)]
pub(super) enum Content {
    /// A file.
    Bytes { bytes: Vec<u8>, mode: u32 },
    /// A file that belongs to the user once it is there.
    Configuration(Vec<u8>),
    /// A link to another name in the same directory.
    Link(String),
}

/// What cargo built.
#[derive(Debug)]
pub(super) struct Built {
    /// The programs, in the order of [`PROGRAMS`].
    pub(super) programs: Vec<PathBuf>,
    /// The library.
    pub(super) library: PathBuf,
}

/// What the manifests say of the library.
#[derive(Debug)]
pub(super) struct Library {
    /// The version of the project.
    pub(super) release: String,
    /// The version of the ABI, three numbers of which the first is in the soname.
    pub(super) abi: String,
}

/// Everything that is installed.
pub(super) fn entries(
    root: &Path,
    options: &Options,
    built: &Built,
    library: &Library,
) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for (name, program) in PROGRAMS.iter().zip(&built.programs) {
        let path = options.prefix.join("bin").join(name);
        all.push(file(path, read(program)?, 0o755));
    }
    all.extend(library_entries(root, options, built, library)?);
    let hawser = built.programs.first().context("no program was built")?;
    all.extend(manual_pages(options, hawser)?);
    all.extend(completions(options, hawser)?);
    all.extend(service_entries(root, options)?);
    for document in DOCUMENTS {
        let source = root.join(document);
        let name = source.file_name().context("a document has no name")?;
        let path = options.prefix.join("share/doc/hawser").join(name);
        all.push(file(path, read(&source)?, 0o644));
    }
    Ok(all)
}

fn file(path: PathBuf, bytes: Vec<u8>, mode: u32) -> Entry {
    Entry {
        path,
        content: Content::Bytes { bytes, mode },
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

/// The library under its full name, the names by which the loader and the linker find it, and what a compiler
/// needs.
fn library_entries(
    root: &Path,
    options: &Options,
    built: &Built,
    library: &Library,
) -> Result<Vec<Entry>> {
    let (major, _) = library
        .abi
        .split_once('.')
        .context("the version of the ABI has no dot")?;
    let full = format!("{LIBRARY}.{}", library.abi);
    let link = |name: String| Entry {
        path: options.libdir.join(name),
        content: Content::Link(full.clone()),
    };
    let mut all = vec![
        file(options.libdir.join(&full), read(&built.library)?, 0o755),
        link(format!("{LIBRARY}.{major}")),
        link(LIBRARY.to_owned()),
    ];
    for header in HEADERS {
        let source = root.join("crates/iscsidsc/include").join(header);
        let path = options.prefix.join("include").join(header);
        all.push(file(path, read(&source)?, 0o644));
    }
    let template = fs::read_to_string(root.join("packaging/iscsidsc.pc.in"))?;
    let filled = pkg_config(&template, options, &library.release)?;
    let path = options.libdir.join("pkgconfig/iscsidsc.pc");
    all.push(file(path, filled.into_bytes(), 0o644));
    Ok(all)
}

/// `iscsidsc.pc` with its places filled in.
fn pkg_config(template: &str, options: &Options, version: &str) -> Result<String> {
    // Below the prefix, so that pkg-config can move it.
    let libdir = match options.libdir.strip_prefix(&options.prefix) {
        Ok(below) => format!("${{prefix}}/{}", below.display()),
        Err(_) => options.libdir.display().to_string(),
    };
    let filled = template
        .replace("@PREFIX@", &options.prefix.display().to_string())
        .replace("@LIBDIR@", &libdir)
        .replace("@INCLUDEDIR@", "${prefix}/include")
        .replace("@VERSION@", version);
    ensure!(
        !filled.contains('@'),
        "packaging/iscsidsc.pc.in has a place that nothing fills in:\n{filled}"
    );
    Ok(filled)
}

/// The manual pages, which the program writes.
fn manual_pages(options: &Options, hawser: &Path) -> Result<Vec<Entry>> {
    let pages = tempfile::tempdir()?;
    let path = pages.path().to_str().context("the path is not text")?;
    output_of(hawser, &["man", path])?;
    let mut all = Vec::new();
    for section in files_in(pages.path())? {
        for page in files_in(&section)? {
            let below = page.strip_prefix(pages.path())?;
            let path = options.prefix.join("share/man").join(below);
            all.push(file(path, read(&page)?, 0o644));
        }
    }
    Ok(all)
}

/// The completions of each program for each shell, which the program prints.
fn completions(options: &Options, hawser: &Path) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    for (shell, before, after) in SHELLS {
        for program in PROGRAMS {
            let script = output_of(hawser, &["completions", shell, program])?;
            let path = options.prefix.join(format!("{before}{program}{after}"));
            all.push(file(path, script, 0o644));
        }
    }
    Ok(all)
}

fn output_of(program: &Path, words: &[&str]) -> Result<Vec<u8>> {
    let what = || format!("{} {}", program.display(), words.join(" "));
    let output = Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("run {}", what()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {said}", what());
    Ok(output.stdout)
}

/// Units, users, directories, and the configuration of the machine's own daemon.
fn service_entries(root: &Path, options: &Options) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    let programs = format!("={}/", options.prefix.join("bin").display());
    for (folder, place) in FOLDERS {
        for source in files_in(&root.join("packaging").join(folder))? {
            let text = fs::read_to_string(&source)?;
            let text = text.replace(UNIT_PROGRAMS, &programs);
            let name = source.file_name().context("a file has no name")?;
            let path = options.prefix.join("lib").join(place).join(name);
            all.push(file(path, text.into_bytes(), 0o644));
        }
    }
    if options.is_for_the_system() {
        all.push(Entry {
            path: PathBuf::from(CONFIGURATION),
            content: Content::Configuration(read(&root.join("packaging/hawser.toml"))?),
        });
    }
    Ok(all)
}

/// What is in a directory, by name.
fn files_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../../packaging/iscsidsc.pc.in");

    #[test]
    fn the_description_for_pkg_config_can_be_moved() {
        let options = Options::read(&["--prefix", "/opt/hawser"]).unwrap();
        let filled = pkg_config(TEMPLATE, &options, "0.1.0").unwrap();
        for line in [
            "prefix=/opt/hawser",
            "libdir=${prefix}/lib",
            "includedir=${prefix}/include",
            "Version: 0.1.0",
        ] {
            assert!(
                filled.lines().any(|there| there == line),
                "{line}: {filled}"
            );
        }
        let options = Options::read(&["--prefix", "/usr", "--libdir", "/lib64"]).unwrap();
        let filled = pkg_config(TEMPLATE, &options, "0.1.0").unwrap();
        assert!(filled.lines().any(|line| line == "libdir=/lib64"));
        assert!(pkg_config("@HOME@", &options, "0.1.0").is_err());
    }
}
