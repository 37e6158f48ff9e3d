//! Generates the Rust code of `crates/api` from its `.proto` files, or checks that the committed code is current.
//!
//! The compiler is `protox`, so no `protoc` is needed. The generated file is committed: building
//! Hawser never runs this.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The contract, one file a service, relative to [`PROTO_DIR`].
const PROTOS: [&str; 7] = [
    "hawser/v1/types.proto",
    "hawser/v1/system.proto",
    "hawser/v1/discovery.proto",
    "hawser/v1/sessions.proto",
    "hawser/v1/volumes.proto",
    "hawser/v1/scsi.proto",
    "hawser/v1/security.proto",
];

/// Where the `.proto` files are, relative to the workspace.
const PROTO_DIR: &str = "crates/api/proto";

/// Where the generated code is committed, relative to the workspace.
const GENERATED_DIR: &str = "crates/api/src/generated";

/// Generates the code of `crates/api`; with `check`, only compares and fails on any difference.
///
/// # Errors
/// A `.proto` file that does not compile or is not listed here, a file that cannot be read or
/// written, or with `check` code that is not current.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("crates/xtask lies two levels below the workspace")?;
    let proto_dir = root.join(PROTO_DIR);
    refuse_unlisted(&proto_dir.join("hawser/v1"))?;
    let fresh = tempfile::tempdir().context("make a directory for the fresh code")?;
    generate(&proto_dir, fresh.path())?;
    let committed = root.join(GENERATED_DIR);
    for path in files_of(fresh.path())? {
        let name = path.file_name().context("a generated file has a name")?;
        let text = fs::read_to_string(&path)?;
        place(&text, &committed.join(name), check)?;
    }
    Ok(())
}

/// Compiles the contract into `out_dir`.
fn generate(proto_dir: &Path, out_dir: &Path) -> Result<()> {
    let descriptors = protox::compile(PROTOS, [proto_dir]).context("compile the .proto files")?;
    tonic_prost_build::configure()
        .out_dir(out_dir)
        .emit_rerun_if_changed(false)
        // Its Debug is written by hand, so that no log line can show a secret.
        .skip_debug(["hawser.v1.Secret"])
        .compile_fds(descriptors)
        .context("generate Rust from the .proto files")
}

/// Writes `text` to `path` if it differs; with `check`, fails if it does.
fn place(text: &str, path: &Path, check: bool) -> Result<()> {
    let same = fs::read_to_string(path).is_ok_and(|present| present == text);
    if same {
        return Ok(());
    }
    if check {
        bail!(
            "{} is not current: run `cargo xtask codegen`",
            path.display()
        );
    }
    fs::create_dir_all(
        path.parent()
            .context("a generated file lies in a directory")?,
    )?;
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

/// Fails if a `.proto` file was added without listing it in [`PROTOS`].
fn refuse_unlisted(dir: &Path) -> Result<()> {
    for path in files_of(dir)? {
        let listed = PROTOS.iter().any(|proto| path.ends_with(proto));
        if !listed {
            bail!("{} is not listed in xtask's codegen", path.display());
        }
    }
    Ok(())
}

/// The files of a directory, sorted.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(dir)
        .with_context(|| format!("read {}", dir.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
