//! The program `hawser-target`: a target from the command line.

mod forward;
mod lun;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use hawser_proto::chap::ChapSecret;
use tokio::signal::unix::{SignalKind, signal};

pub use self::forward::{Connector, FarTarget, FarUrl};
use self::lun::LunSpec;
use crate::config::{ChapConfig, TargetConfig};
use crate::policy::{DigestPolicy, KeyPolicy};
use crate::server::TargetServer;

/// How long initiators have to log out when the program is asked to stop.
const GRACE: Duration = Duration::from_secs(2);

/// The longest secret file that is read, in bytes.
const SECRET_LIMIT: usize = 4096;

/// What to make of an offer of digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Digest {
    /// Take what the initiator prefers.
    Offered,
    /// Take none.
    None,
    /// Demand CRC32C.
    Crc32c,
}

impl From<Digest> for DigestPolicy {
    fn from(digest: Digest) -> Self {
        match digest {
            Digest::Offered => Self::Offered,
            Digest::None => Self::Never,
            Digest::Crc32c => Self::Required,
        }
    }
}

/// Serve disks in memory or in files over iSCSI.
///
/// Each --lun belongs to the --target before it, and gets the next LUN, from 0 on. The program
/// prints "listening on ADDRESS" for each portal once it accepts logins, and runs until SIGINT or
/// SIGTERM.
#[derive(Debug, Parser)]
#[command(name = "hawser-target", version)]
pub struct Options {
    /// Address and port to listen on; port 0 picks a free one. May be given several times.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3260")]
    portal: Vec<SocketAddr>,

    /// Name of a target. May be given several times.
    #[arg(long, value_name = "IQN", required_unless_present = "forward")]
    target: Vec<String>,

    /// A disk: ram:SIZE or file:PATH, then any of bs=512|4096, size=SIZE (makes the file), volatile
    /// (a write cache that forgets), ro, separated by commas.
    #[arg(long, value_name = "DISK")]
    lun: Vec<LunSpec>,

    /// Carry nothing out here: forward all commands to another target, iscsi://ADDRESS[:PORT]/IQN,
    /// whose LUNs are shown under the same numbers. Without --target its name is shown too.
    #[arg(long, value_name = "URL", conflicts_with = "lun")]
    forward: Option<FarUrl>,

    /// CHAP with the target of --forward: the name we give.
    #[arg(long, value_name = "NAME", requires = "forward")]
    forward_chap_user: Option<String>,

    /// File with the secret of --forward-chap-user [default: the secret in HAWSER_CHAP_SECRET]
    #[arg(long, value_name = "FILE", requires = "forward_chap_user")]
    forward_chap_secret_file: Option<PathBuf>,

    /// Demand CHAP from initiators: the name they must give.
    #[arg(long, value_name = "NAME", requires = "chap_secret_file")]
    chap_user: Option<String>,

    /// File with the secret of --chap-user; a line end behind it does not count.
    #[arg(long, value_name = "FILE", requires = "chap_user")]
    chap_secret_file: Option<PathBuf>,

    /// Prove ourselves to initiators that ask: the name we give.
    #[arg(
        long,
        value_name = "NAME",
        requires = "mutual_secret_file",
        requires = "chap_user"
    )]
    mutual_user: Option<String>,

    /// File with the secret of --mutual-user.
    #[arg(long, value_name = "FILE", requires = "mutual_user")]
    mutual_secret_file: Option<PathBuf>,

    /// Demand the same CHAP of discovery sessions.
    #[arg(long, requires = "chap_user")]
    discovery_chap: bool,

    /// What to make of an offer of header digests.
    #[arg(long, value_enum, default_value_t = Digest::Offered)]
    header_digest: Digest,

    /// What to make of an offer of data digests.
    #[arg(long, value_enum, default_value_t = Digest::Offered)]
    data_digest: Digest,

    /// Have all write data beyond the command asked for.
    #[arg(long)]
    initial_r2t: bool,

    /// Take no data in the command itself.
    #[arg(long)]
    no_immediate_data: bool,
}

/// Runs the program with these arguments, the first of which is its name, until it is asked to
/// stop. `connect` makes the far side of --forward. Must be called in a tokio runtime. Errors are told
/// on the standard error output.
pub async fn main_from_args(
    args: impl IntoIterator<Item = OsString>,
    connect: Connector,
) -> ExitCode {
    let matches = match Options::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            let failed = error.use_stderr();
            // Nobody is left to be told if this fails.
            let _ = error.print();
            return if failed {
                ExitCode::from(2)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(&matches, connect).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hawser-target: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(matches: &ArgMatches, connect: Connector) -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::from_arg_matches(matches)?;
    let chap = chap(&options)?;
    let mut server = TargetServer::builder();
    for address in &options.portal {
        server = server.portal(*address);
    }
    let targets = match &options.forward {
        Some(url) => vec![forwarding(&options, url, chap.as_ref(), connect)?],
        None => targets(&options, matches, chap.as_ref())?,
    };
    for target in targets {
        server = server.target(target);
    }
    if let Some(chap) = chap.filter(|_| options.discovery_chap) {
        server = server.discovery_chap(chap);
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let handle = server.start().await.map_err(|error| told(&error))?;
    for address in handle.local_addrs() {
        println!("listening on {address}");
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    handle.shutdown(GRACE).await;
    Ok(())
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The targets with their disks, each disk with the target before it on the command line.
fn targets(
    options: &Options,
    matches: &ArgMatches,
    chap: Option<&ChapConfig>,
) -> Result<Vec<TargetConfig>, Box<dyn std::error::Error>> {
    let places = |name| matches.indices_of(name).into_iter().flatten();
    let mut targets = Vec::new();
    let mut starts: Vec<usize> = places("target").collect();
    starts.push(usize::MAX);
    let first = options.lun.iter().zip(places("lun")).next();
    if let Some((spec, place)) = first
        && starts.first().is_some_and(|start| place < *start)
    {
        let what = "stands before every --target: put it behind the one it belongs to";
        return Err(format!("--lun {spec} {what}").into());
    }
    for (name, bounds) in options.target.iter().zip(starts.windows(2)) {
        let mut target = bare(options, name, chap)?;
        let own = options.lun.iter().zip(places("lun"));
        let own =
            own.filter(|(_, place)| bounds.first() < Some(place) && Some(place) < bounds.get(1));
        for (number, (spec, _)) in (0..).zip(own) {
            let unit = spec.open(&format!("{name}/{number}"));
            target = target.lun(
                number,
                unit.map_err(|error| format!("--lun {spec}: {error}"))?,
            );
        }
        targets.push(target);
    }
    Ok(targets)
}

/// A target without disks.
fn bare(
    options: &Options,
    name: &str,
    chap: Option<&ChapConfig>,
) -> Result<TargetConfig, Box<dyn std::error::Error>> {
    let target = TargetConfig::new(name)?.policy(KeyPolicy {
        header_digest: options.header_digest.into(),
        data_digest: options.data_digest.into(),
        initial_r2t: options.initial_r2t,
        immediate_data: !options.no_immediate_data,
        ..KeyPolicy::default()
    });
    Ok(match chap {
        Some(chap) => target.chap(chap.clone()),
        None => target,
    })
}

/// The target of --forward.
fn forwarding(
    options: &Options,
    url: &FarUrl,
    chap: Option<&ChapConfig>,
    connect: Connector,
) -> Result<TargetConfig, Box<dyn std::error::Error>> {
    let name = match options.target.as_slice() {
        [] => url.target.as_str(),
        [name] => name,
        _ => return Err("--forward: only one --target can show the other target".into()),
    };
    let far = connect(&FarTarget {
        url: url.clone(),
        chap_user: options.forward_chap_user.clone(),
        chap_secret_file: options.forward_chap_secret_file.clone(),
    });
    let far = far.map_err(|error| format!("--forward: {error}"))?;
    Ok(bare(options, name, chap)?.forward(far))
}

fn chap(options: &Options) -> Result<Option<ChapConfig>, Box<dyn std::error::Error>> {
    let (Some(user), Some(file)) = (&options.chap_user, &options.chap_secret_file) else {
        return Ok(None);
    };
    let mut chap = ChapConfig::one_way(user, secret(file)?);
    if let (Some(user), Some(file)) = (&options.mutual_user, &options.mutual_secret_file) {
        chap = chap.mutual(user, secret(file)?);
    }
    Ok(Some(chap))
}

fn secret(file: &Path) -> Result<ChapSecret, Box<dyn std::error::Error>> {
    let mut bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        bytes.pop();
    }
    if bytes.is_empty() || bytes.len() > SECRET_LIMIT {
        return Err(format!(
            "{}: not a secret of 1 to {SECRET_LIMIT} bytes",
            file.display()
        )
        .into());
    }
    Ok(ChapSecret::new(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hawser_scsi::Lun;

    use super::*;

    fn read(args: &[&str]) -> Result<Vec<TargetConfig>, String> {
        let matches = Options::command()
            .try_get_matches_from(args)
            .map_err(|error| error.kind().to_string())?;
        let options = Options::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        let chap = chap(&options).map_err(|error| error.to_string())?;
        targets(&options, &matches, chap.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn disks_belong_to_the_target_before_them() {
        let targets = read(&[
            "hawser-target",
            "--target",
            "iqn.2024-01.test:a",
            "--lun",
            "ram:1M",
            "--lun",
            "ram:2M",
            "--target",
            "iqn.2024-01.test:b",
            "--lun",
            "ram:3M,bs=4096",
        ])
        .unwrap();
        let sizes = |target: &TargetConfig| -> Vec<u64> {
            let units = target.device().luns().into_iter();
            units
                .map(|lun| target.device().unit(lun).unwrap().backend().size() >> 20)
                .collect()
        };
        assert_eq!(
            targets.iter().map(sizes).collect::<Vec<_>>(),
            [vec![1, 2], vec![3]]
        );
        let unit = targets[1].device().unit(Lun::ZERO).unwrap();
        assert_eq!(unit.block_size(), 4096);
        let astray = [
            "hawser-target",
            "--lun",
            "ram:1M",
            "--target",
            "iqn.2024-01.test:a",
        ];
        let told = read(&astray).unwrap_err();
        assert!(told.contains("before every --target"), "{told}");
    }

    #[test]
    fn a_forwarding_target_has_the_name_of_the_other_or_its_own() {
        use crate::forward::{FarLost, FarNexus, Forward, Pending};

        #[derive(Debug)]
        struct Nowhere;
        impl Forward for Nowhere {
            fn open(&self, _: crate::disk::Nexus) -> Pending<Result<Arc<dyn FarNexus>, FarLost>> {
                Box::pin(std::future::ready(Err(FarLost)))
            }
        }
        let read = |words: &[&str]| {
            let url = "iscsi://127.0.0.1/iqn.2024-01.test:far";
            let words = [&["hawser-target", "--forward", url], words].concat();
            let options = Options::try_parse_from(words).map_err(|error| error.to_string())?;
            let url = options.forward.clone().ok_or("no URL")?;
            let target = forwarding(&options, &url, None, |_| Ok(Arc::new(Nowhere)));
            target.map_err(|error| error.to_string())
        };
        let name = |words: &[&str]| read(words).map(|target| target.name.as_str().to_owned());
        assert_eq!(name(&[]).unwrap(), "iqn.2024-01.test:far");
        let own = ["--target", "iqn.2024-01.test:near"];
        assert_eq!(name(&own).unwrap(), "iqn.2024-01.test:near");
        assert!(name(&[own, own].concat()).is_err());
        assert!(name(&["--lun", "ram:1M"]).is_err());
        assert!(read(&[]).unwrap().forward.is_some());
    }

    #[test]
    fn the_secret_is_the_file_without_its_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, "secretsecret1\r\n").unwrap();
        let path = file.to_str().unwrap();
        let target = [
            "hawser-target",
            "--target",
            "iqn.2024-01.test:a",
            "--chap-user",
            "u",
        ];
        let targets = read(&[&target[..], &["--chap-secret-file", path]].concat()).unwrap();
        let chap = targets[0].chap.as_ref().unwrap();
        assert!(chap.initiator.secret.is_same_as(&"secretsecret1".into()));
        assert!(read(&target).is_err());
        std::fs::write(&file, "\n").unwrap();
        assert!(read(&[&target[..], &["--chap-secret-file", path]].concat()).is_err());
    }

    #[test]
    fn wrong_arguments_are_named() {
        assert!(read(&["hawser-target"]).is_err());
        let wrong = read(&["hawser-target", "--target", "disk"]).unwrap_err();
        assert!(wrong.contains("disk"), "{wrong}");
        let missing = [
            "--target",
            "iqn.2024-01.test:a",
            "--lun",
            "file:/nonexistent/disk",
        ];
        let wrong = read(&[&["hawser-target"], &missing[..]].concat()).unwrap_err();
        assert!(wrong.contains("/nonexistent/disk"), "{wrong}");
    }
}
