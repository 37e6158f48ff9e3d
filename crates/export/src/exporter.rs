//! The one entry of the daemon: shows disks in the best way there is, and takes them away again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_block::BlockDevice;
use tokio::runtime::Handle;

use crate::export::Export;
use crate::layout::{Layout, export_id};
use crate::links;
use crate::mode::{Declined, ExportMode};
use crate::nbd::NbdServerError;

/// Why a disk could not be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The logical unit is shown already.
    #[error("{target} LUN {lun} is exported already")]
    AlreadyExported {
        /// The target's name.
        target: String,
        /// The LUN.
        lun: u64,
    },
    /// The mode that was asked for does not work here, or in auto mode none does.
    #[error("the disk cannot be exported: {}", list(.0))]
    Unavailable(Vec<Declined>),
    /// The runtime directory cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Runtime {
        /// The path that failed.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The runtime that the exporter was given is being shut down.
    #[error("the daemon is being shut down")]
    ShuttingDown,
    /// The NBD server that was asked for beside the export could not be started.
    #[error(transparent)]
    Nbd(#[from] NbdServerError),
}

fn list(declined: &[Declined]) -> String {
    let reasons: Vec<_> = declined
        .iter()
        .map(|declined| format!("{}: {}", declined.mode, declined.reason))
        .collect();
    reasons.join("; ")
}

/// A disk to show.
#[derive(Debug)]
pub struct ExportRequest {
    /// The disk. Its size and block size are asked for when they are needed.
    pub device: Arc<dyn BlockDevice>,
    /// The target's name, as the target said it.
    pub target: String,
    /// The LUN.
    pub lun: u64,
    /// The disk's identity (NAA, EUI-64, T10 or serial), as the target said it; without it there is
    /// no `disk/by-id` link.
    pub identity: Option<String>,
    /// The way to show it; `None` takes the exporter's.
    pub mode: Option<ExportMode>,
    /// Serve NBD on a Unix socket also when the disk is shown in another way.
    pub also_nbd: bool,
    /// Serve NBD over TCP on this address also. It has no authentication.
    pub nbd_tcp: Option<SocketAddr>,
    /// The runtime that its NBD clients are served on, best the one that carries the disk's own
    /// requests; `None` takes the exporter's.
    pub runtime: Option<Handle>,
}

impl ExportRequest {
    /// A request to show `device`, which is LUN `lun` of `target`, in the exporter's way.
    #[must_use]
    pub fn new(device: Arc<dyn BlockDevice>, target: impl Into<String>, lun: u64) -> Self {
        Self {
            device,
            target: target.into(),
            lun,
            identity: None,
            mode: None,
            also_nbd: false,
            nbd_tcp: None,
            runtime: None,
        }
    }
}

/// Shows disks below one runtime directory.
#[derive(Debug, Clone)]
pub struct Exporter {
    shared: Arc<Shared>,
}

/// What all exports of one exporter share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) layout: Layout,
    mode: ExportMode,
    pub(crate) handle: Handle,
    /// Export ids that are taken.
    taken: Mutex<HashSet<String>>,
    /// Links, and the id of the export that each belongs to. Links change on disk under this lock, so
    /// that who has a link here has it there.
    links: Mutex<HashMap<PathBuf, String>>,
}

impl Shared {
    /// Takes an export id; false when another export has it.
    fn take_id(&self, id: &str) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(id.to_owned())
    }

    pub(crate) fn give_id_back(&self, id: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(id);
    }

    fn links(&self) -> MutexGuard<'_, HashMap<PathBuf, String>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a link for the export `id`. One that another export has is left to it, and false given,
    /// unless `anyway`.
    pub(crate) fn make_link(
        &self,
        link: &Path,
        id: &str,
        target: &Path,
        anyway: bool,
    ) -> io::Result<bool> {
        let mut owners = self.links();
        if !anyway && owners.get(link).is_some_and(|owner| owner != id) {
            return Ok(false);
        }
        links::make(link, target)?;
        owners.insert(link.to_owned(), id.to_owned());
        Ok(true)
    }

    /// Removes a link of the export `id`, unless another has taken it over. It is given back even if it
    /// cannot be removed.
    pub(crate) fn remove_link(&self, link: &Path, id: &str) -> io::Result<()> {
        let mut owners = self.links();
        if owners.get(link).is_none_or(|owner| owner != id) {
            return Ok(());
        }
        owners.remove(link);
        links::remove(link)
    }

    /// Gives the links of the export `id` back; they stay where they are.
    pub(crate) fn give_links_back(&self, id: &str) {
        self.links().retain(|_, owner| owner != id);
    }
}

impl Exporter {
    /// An exporter below `runtime_dir`, which must exist, whose exports are shown by `mode` unless
    /// they ask for another, and whose tasks run on `handle`. The caller makes sure that it is the
    /// only one for the directory, and has called [`clean_up`](crate::clean_up) before.
    ///
    /// # Errors
    /// [`ExportError::Runtime`].
    pub fn new(runtime_dir: &Path, mode: ExportMode, handle: Handle) -> Result<Self, ExportError> {
        let failed = |source| ExportError::Runtime {
            path: runtime_dir.to_owned(),
            source,
        };
        let layout = Layout::open(runtime_dir).map_err(failed)?;
        layout.make_private_directories().map_err(failed)?;
        Ok(Self {
            shared: Arc::new(Shared {
                layout,
                mode,
                handle,
                taken: Mutex::default(),
                links: Mutex::default(),
            }),
        })
    }

    /// Shows a disk. In auto mode the ways are tried from the best to the worst; a way that was asked
    /// for by name must work.
    ///
    /// # Errors
    /// [`ExportError::AlreadyExported`], [`ExportError::Unavailable`], [`ExportError::Nbd`],
    /// [`ExportError::Runtime`].
    ///
    /// # Cancellation
    /// Not cancel safe: what was made so far stays until the next clean-up.
    pub async fn export(&self, request: ExportRequest) -> Result<Export, ExportError> {
        let id = export_id(&request.target, request.lun);
        if !self.shared.take_id(&id) {
            let (target, lun) = (request.target, request.lun);
            return Err(ExportError::AlreadyExported { target, lun });
        }
        let wanted = request.mode.unwrap_or(self.shared.mode);
        // From here on the export gives its name back when it is dropped.
        let export = Export::begin(id, &request, wanted, Arc::clone(&self.shared))?;
        let device = Arc::clone(&request.device);
        let built = self
            .shared
            .handle
            .spawn_blocking(move || export.mount_and_attach(&device));
        let mut export = match built.await {
            Ok(export) => export,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Err(ExportError::ShuttingDown),
        };
        match export.finish(&request) {
            Ok(()) => Ok(export),
            Err(error) => {
                let removal = export.remove().await;
                if !removal.left_behind.is_empty() {
                    tracing::warn!(?removal, "a failed export left something behind");
                }
                Err(error)
            }
        }
    }
}
