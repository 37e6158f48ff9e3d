//! A running virtual machine: qemu without KVM, a console that goes to a file, and a second serial port on
//! which the guest reports, line by line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::stage::read_lines;

/// How much of the console is shown when a machine fails.
const CONSOLE_LINES: usize = 60;

/// How a machine is started.
pub(super) struct Boot<'a> {
    /// Kernel and initramfs.
    pub(super) image: &'a Image,
    /// The root disk; `None`: a copy of the image's that is forgotten at the end.
    pub(super) root: Option<&'a Path>,
    /// A tar archive that is unpacked over the root before it starts.
    pub(super) payload: &'a Path,
    /// Words for the kernel's command line.
    pub(super) append: &'a str,
    /// A port of this machine's loopback that is forwarded to the iSCSI port of the guest.
    pub(super) forward: Option<u16>,
    /// Where the console's output goes.
    pub(super) console: &'a Path,
}

/// A machine; it ends with this value.
pub(super) struct Guest {
    qemu: Child,
    lines: Receiver<String>,
    console: PathBuf,
}

impl Guest {
    /// Starts a machine.
    pub(super) fn boot(boot: &Boot<'_>) -> Result<Self> {
        // Truncated, so that nothing of an earlier machine is taken for this one's.
        File::create(boot.console).context("make the console's file")?;
        let mut qemu = command(boot)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start qemu-system-x86_64")?;
        let lines = read_lines(&mut qemu);
        Ok(Self {
            qemu,
            lines,
            console: boot.console.to_owned(),
        })
    }

    /// The next line that the guest reports; `None` when the machine has ended.
    pub(super) fn line(&self, deadline: Instant) -> Result<Option<String>> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => Ok(Some(line.trim_end_matches('\r').to_owned())),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("the machine says nothing more\n{}", self.last_words())
            }
        }
    }

    /// Waits until the guest reports `wanted`.
    pub(super) fn wait_for(&self, wanted: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while let Some(line) = self.line(deadline)? {
            if line == wanted {
                return Ok(());
            }
            println!("{line}");
        }
        bail!(
            "the machine ended without \"{wanted}\"\n{}",
            self.last_words()
        )
    }

    /// The console's output so far.
    pub(super) fn console(&self) -> String {
        let console = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&console).into_owned()
    }

    /// The end of the console's output.
    pub(super) fn last_words(&self) -> String {
        let console = self.console();
        let lines: Vec<&str> = console.lines().collect();
        let from = lines.len().saturating_sub(CONSOLE_LINES);
        let shown = lines.get(from..).unwrap_or_default().join("\n");
        format!("--- the console's last lines\n{shown}\n---")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Both fail only for a machine that has ended.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn command(boot: &Boot<'_>) -> Command {
    // With this program the machine ends too.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
    command.args(["-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "qemu64"]);
    command.args(["-m", "768", "-smp", "1", "-display", "none"]);
    command.args(["-no-reboot", "-nodefaults"]);
    command.arg("-serial");
    command.arg(format!("file:{}", boot.console.display()));
    command.args(["-serial", "stdio"]);
    command.arg("-kernel").arg(boot.image.file("vmlinuz"));
    command.arg("-initrd").arg(boot.image.file("initrd"));
    command.arg("-append").arg(format!(
        "console=ttyS0 panic=-1 quiet mitigations=off {}",
        boot.append
    ));
    let root = match boot.root {
        Some(kept) => format!("file={},snapshot=off", kept.display()),
        None => format!("file={},snapshot=on", boot.image.file("root.img").display()),
    };
    command.arg("-drive");
    command.arg(format!("{root},format=raw,if=virtio,cache=unsafe"));
    command.arg("-drive");
    let payload = boot.payload.display();
    command.arg(format!("file={payload},format=raw,if=virtio,readonly=on"));
    if let Some(port) = boot.forward {
        command.arg("-netdev");
        command.arg(format!(
            "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:3260"
        ));
        command.args(["-device", "virtio-net-pci,netdev=net,romfile="]);
    }
    command
}
