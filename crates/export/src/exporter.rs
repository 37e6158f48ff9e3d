//! The one entry of the daemon: shows disks in the best way there is, and takes them away again.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hawser_block::BlockDevice;
use tokio::runtime::Handle;

use crate::layout::{Layout, export_id};
use crate::links;
use crate::mode::{Declined, ExportMode};
use crate::nbd::{ExportInfo, NbdServer, NbdServerError};

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
        }
    }
}

/// What was left behind because it is in use, one sentence each; empty when all is gone. It goes by
/// itself when its last user lets go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// The sentences.
    pub left_behind: Vec<String>,
}

/// Shows disks below one runtime directory.
#[derive(Debug, Clone)]
pub struct Exporter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    layout: Layout,
    mode: ExportMode,
    handle: Handle,
    /// What is taken: export ids, and links below `disk/by-id`.
    taken: Mutex<HashSet<PathBuf>>,
}

impl Shared {
    fn taken(&self) -> MutexGuard<'_, HashSet<PathBuf>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exporter {
    /// An exporter below `runtime_dir`, which must exist, whose exports are shown by `mode` unless
    /// they ask for another, and whose tasks run on `handle`. The caller makes sure that it is the
    /// only one for the directory, and has called `clean_up` before.
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
        let taken = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared {
                layout,
                mode,
                handle,
                taken,
            }),
        })
    }

    /// Shows a disk. In auto mode the ways are tried from the best to the worst; a way that was asked
    /// for by name must work.
    ///
    /// # Errors
    /// [`ExportError::AlreadyExported`], [`ExportError::Unavailable`], [`ExportError::Nbd`].
    ///
    /// # Cancellation
    /// Not cancel safe: what was made so far stays until the next clean-up.
    pub async fn export(&self, request: ExportRequest) -> Result<Export, ExportError> {
        let mut export = self.begin(&request)?;
        let wanted = request.mode.unwrap_or(self.shared.mode);
        if matches!(wanted, ExportMode::Nbd | ExportMode::Auto) {
            export.mode = ExportMode::Nbd;
        }
        if request.also_nbd || request.nbd_tcp.is_some() || export.mode == ExportMode::Nbd {
            export.start_nbd(&request)?;
        }
        export.make_links(&request);
        Ok(export)
    }

    /// Takes the id of the logical unit.
    fn begin(&self, request: &ExportRequest) -> Result<Export, ExportError> {
        let id = export_id(&request.target, request.lun);
        if !self.shared.taken().insert(PathBuf::from(&id)) {
            let (target, lun) = (request.target.clone(), request.lun);
            return Err(ExportError::AlreadyExported { target, lun });
        }
        Ok(Export {
            device_node: None,
            fuse_file: None,
            nbd_socket: None,
            nbd_tcp: None,
            nbd_uri: None,
            links: Vec::new(),
            mode: ExportMode::None,
            declined: Vec::new(),
            id,
            nbd: None,
            shared: Arc::clone(&self.shared),
        })
    }
}

/// A disk that is shown. [`remove`](Self::remove) takes it away; when it is only dropped, its NBD
/// server stops, and the rest stays until the next `clean_up`.
pub struct Export {
    /// The block device node (`/dev/loopN`), in loop mode.
    pub device_node: Option<PathBuf>,
    /// The FUSE file, in loop and FUSE mode.
    pub fuse_file: Option<PathBuf>,
    /// The NBD server's Unix socket, mode 0600.
    pub nbd_socket: Option<PathBuf>,
    /// The NBD server's TCP address.
    pub nbd_tcp: Option<SocketAddr>,
    /// What NBD clients take as an address: the Unix socket's, as an NBD URI.
    pub nbd_uri: Option<String>,
    /// The stable links to the node, the file or the socket, the best there is.
    pub links: Vec<PathBuf>,
    /// The way the disk is shown; never [`ExportMode::Auto`].
    pub mode: ExportMode,
    /// The better ways that were not taken, and links that were not made, with the reasons.
    pub declined: Vec<Declined>,
    id: String,
    nbd: Option<NbdServer>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("id", &self.id)
            .field("mode", &self.mode)
            .field("device_node", &self.device_node)
            .field("fuse_file", &self.fuse_file)
            .field("nbd_socket", &self.nbd_socket)
            .finish_non_exhaustive()
    }
}

impl Export {
    /// What a user of the disk opens: the device node, else the FUSE file, else the NBD socket.
    #[must_use]
    pub fn best_path(&self) -> Option<&Path> {
        self.device_node
            .as_ref()
            .or(self.fuse_file.as_ref())
            .or(self.nbd_socket.as_ref())
            .map(|path| &**path)
    }

    fn start_nbd(&mut self, request: &ExportRequest) -> Result<(), ExportError> {
        let info = ExportInfo {
            name: links::by_target_name(&request.target, request.lun),
            description: format!(
                "LUN {} of {}",
                request.lun,
                links::encode_name(&request.target)
            ),
        };
        let device = Arc::clone(&request.device);
        let mut server = NbdServer::new(self.shared.handle.clone(), info, device);
        if request.also_nbd || self.mode == ExportMode::Nbd {
            let socket = self.shared.layout.socket(&self.id);
            server.listen_unix(&socket)?;
            self.nbd_uri = Some(format!("nbd+unix:///?socket={}", percent_encode(&socket)));
            self.nbd_socket = Some(socket);
        }
        if let Some(address) = request.nbd_tcp {
            self.nbd_tcp = Some(server.listen_tcp(address)?);
        }
        self.nbd = Some(server);
        Ok(())
    }

    /// Makes the links. A failure is noted and does not undo the export: the disk is there.
    fn make_links(&mut self, request: &ExportRequest) {
        let Some(target) = self.best_path().map(Path::to_owned) else {
            return;
        };
        let mut wanted = vec![self.shared.layout.by_target(&request.target, request.lun)];
        if let Some(identity) = request
            .identity
            .as_deref()
            .filter(|identity| !identity.is_empty())
        {
            wanted.push(self.shared.layout.by_id(identity));
        }
        for link in wanted {
            if !self.shared.taken().insert(link.clone()) {
                // Another disk says it has the same identity. A target can say anything, so whoever
                // came first keeps the name.
                self.decline(format!("{} belongs to another export", link.display()));
                continue;
            }
            match links::make(&link, &target) {
                Ok(()) => self.links.push(link),
                Err(error) => {
                    self.shared.taken().remove(&link);
                    self.decline(format!("cannot make the link {}: {error}", link.display()));
                }
            }
        }
    }

    fn decline(&mut self, reason: String) {
        tracing::warn!(
            export = self.id,
            reason,
            "export is not as good as it could be"
        );
        self.declined.push(Declined {
            mode: self.mode,
            reason,
        });
    }

    /// Tells whoever uses the disk that its size has changed.
    pub async fn set_geometry_changed(&self) {}

    /// Takes the disk away: links, loop device, FUSE file, NBD server. It always ends, also when the
    /// disk hangs. What is still in use is left behind and said; see [`Removal`].
    pub async fn remove(mut self) -> Removal {
        let mut removal = Removal::default();
        for link in std::mem::take(&mut self.links) {
            if let Err(error) = links::remove(&link) {
                removal
                    .left_behind
                    .push(format!("the link {}: {error}", link.display()));
            }
            self.shared.taken().remove(&link);
        }
        if let Some(server) = self.nbd.take() {
            server.stop().await;
        }
        removal
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        let mut taken = self.shared.taken();
        taken.remove(Path::new(&self.id));
        for link in &self.links {
            taken.remove(link);
        }
    }
}

/// A path as the value of a URI's query.
fn percent_encode(path: &Path) -> String {
    let mut encoded = String::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
