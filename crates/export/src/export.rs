//! One disk that is shown, from its making to its removal.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hawser_block::BlockDevice;

use crate::exporter::{ExportError, ExportRequest, Shared};
use crate::fuse::FuseFile;
use crate::journal::Journal;
use crate::links;
use crate::loopdev::{Attachment, LoopDevice, LoopError};
use crate::mode::{Declined, ExportMode};
use crate::mounts;
use crate::nbd::{ExportInfo, NbdServer};

/// What was left behind because it is in use, one sentence each; empty when all is gone. It goes by
/// itself when its last user lets go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removal {
    /// The sentences.
    pub left_behind: Vec<String>,
}

/// A disk that is shown. [`remove`](Self::remove) takes it away; when it is only dropped, its NBD
/// server stops, and the rest stays until the next [`clean_up`](crate::clean_up).
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
    /// The stable links to the node, the file or the socket, the best there is. One of them may have been
    /// taken over by another export since ([`take_over_by_id`](Self::take_over_by_id)).
    pub links: Vec<PathBuf>,
    /// The way the disk is shown; never [`ExportMode::Auto`].
    pub mode: ExportMode,
    /// The better ways that were not taken, and what is not as it should be, with the reasons.
    pub declined: Vec<Declined>,
    wanted: ExportMode,
    id: String,
    journal: Journal,
    loop_device: Option<LoopDevice>,
    fuse: Option<FuseFile>,
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
    /// An export of nothing yet, with its journal. Its id is taken; dropping it gives it back.
    pub(crate) fn begin(
        id: String,
        request: &ExportRequest,
        wanted: ExportMode,
        shared: Arc<Shared>,
    ) -> Result<Self, ExportError> {
        let path = shared.layout.journal(&id);
        let journal = match Journal::create(path.clone(), &request.target, request.lun) {
            Ok(journal) => journal,
            Err(source) => {
                shared.give_id_back(&id);
                return Err(ExportError::Runtime { path, source });
            }
        };
        Ok(Self {
            device_node: None,
            fuse_file: None,
            nbd_socket: None,
            nbd_tcp: None,
            nbd_uri: None,
            links: Vec::new(),
            mode: ExportMode::None,
            declined: Vec::new(),
            wanted,
            id,
            journal,
            loop_device: None,
            fuse: None,
            nbd: None,
            shared,
        })
    }

    /// What a user of the disk opens: the device node, else the FUSE file, else the NBD socket.
    #[must_use]
    pub fn best_path(&self) -> Option<&Path> {
        let path = self
            .device_node
            .as_ref()
            .or(self.fuse_file.as_ref())
            .or(self.nbd_socket.as_ref());
        path.map(PathBuf::as_path)
    }

    /// Makes the FUSE file and the loop device, as far as they are wanted and possible. Blocks.
    pub(crate) fn mount_and_attach(mut self, device: &Arc<dyn BlockDevice>) -> Self {
        let wanted = self.wanted;
        if matches!(wanted, ExportMode::Nbd | ExportMode::None) {
            return self;
        }
        if let Err(error) = self.mount(device) {
            let reason = format!("FUSE: {error}");
            if wanted != ExportMode::Fuse {
                self.decline(ExportMode::Loop, reason.clone());
            }
            self.decline(ExportMode::Fuse, reason);
            return self;
        }
        if wanted != ExportMode::Fuse
            && let Err(error) = self.attach(device)
        {
            self.decline(ExportMode::Loop, error.to_string());
        }
        self
    }

    fn mount(&mut self, device: &Arc<dyn BlockDevice>) -> io::Result<()> {
        let mount_point = self.shared.layout.mount_point(&self.id);
        match fs::create_dir(&mount_point) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let fuse = FuseFile::mount(&mount_point, Arc::clone(device))?;
        self.fuse_file = Some(fuse.file().to_owned());
        self.fuse = Some(fuse);
        self.mode = ExportMode::Fuse;
        Ok(())
    }

    fn attach(&mut self, device: &Arc<dyn BlockDevice>) -> Result<(), LoopError> {
        let Some(fuse) = &self.fuse else {
            return Ok(());
        };
        let geometry = device.geometry();
        let attachment = Attachment {
            file: fuse.file(),
            block_size: geometry.block_size,
            read_only: geometry.read_only,
        };
        let journal = &mut self.journal;
        let attached = LoopDevice::attach(&attachment, |number| journal.note_loop_device(number))?;
        if attached.node_made()
            && let Err(error) = journal.note_node_made()
        {
            tracing::warn!(export = self.id, %error, "cannot note the device node in the journal");
        }
        if !attached.is_scanned() {
            let reason = "the disk does not answer yet; its partitions appear when it does";
            self.decline(ExportMode::Loop, reason.to_owned());
        }
        self.device_node = Some(attached.node().to_owned());
        self.loop_device = Some(attached);
        self.mode = ExportMode::Loop;
        Ok(())
    }

    /// Starts what NBD is wanted, judges whether the wish is fulfilled, and makes the links.
    pub(crate) fn finish(&mut self, request: &ExportRequest) -> Result<(), ExportError> {
        let nbd_instead = self.wanted == ExportMode::Auto && self.mode == ExportMode::None;
        let on_socket = self.wanted == ExportMode::Nbd || nbd_instead || request.also_nbd;
        if on_socket || request.nbd_tcp.is_some() {
            self.start_nbd(request, on_socket)?;
        }
        if self.mode == ExportMode::None && on_socket {
            self.mode = ExportMode::Nbd;
        }
        if self.wanted != ExportMode::Auto && self.wanted != self.mode {
            return Err(ExportError::Unavailable(std::mem::take(&mut self.declined)));
        }
        self.make_links(request);
        Ok(())
    }

    fn start_nbd(&mut self, request: &ExportRequest, on_socket: bool) -> Result<(), ExportError> {
        let info = ExportInfo {
            name: links::by_target_name(&request.target, request.lun),
            description: format!(
                "LUN {} of {}",
                request.lun,
                links::encode_name(&request.target)
            ),
        };
        let device = Arc::clone(&request.device);
        let runtime = request.runtime.as_ref().unwrap_or(&self.shared.handle);
        let runtime = runtime.clone();
        let mut server = NbdServer::new(runtime, info, device);
        if on_socket {
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
            let reason = match self.shared.make_link(&link, &self.id, &target, false) {
                Ok(true) => {
                    self.links.push(link);
                    continue;
                }
                // Another disk says it has the same identity. A target can say anything, so whoever
                // came first keeps the name, until `take_over_by_id` says otherwise.
                Ok(false) => format!("{} belongs to another export", link.display()),
                Err(error) => format!("cannot make the link {}: {error}", link.display()),
            };
            self.decline(self.mode, reason);
        }
    }

    /// Takes the link `disk/by-id/…` of this identity over, whichever export has it: for the caller who
    /// knows which of two disks with one identity is meant. Gives the link, or `None` if there is
    /// nothing it could lead to.
    ///
    /// # Errors
    /// The link cannot be made; whoever had it keeps it.
    pub fn take_over_by_id(&mut self, identity: &str) -> io::Result<Option<PathBuf>> {
        let Some(target) = self.best_path().map(Path::to_owned) else {
            return Ok(None);
        };
        let link = self.shared.layout.by_id(identity);
        self.shared.make_link(&link, &self.id, &target, true)?;
        if !self.links.contains(&link) {
            self.links.push(link.clone());
        }
        Ok(Some(link))
    }

    fn decline(&mut self, mode: ExportMode, reason: String) {
        tracing::info!(export = self.id, %mode, reason, "export is not as good as it could be");
        self.declined.push(Declined { mode, reason });
    }

    /// Who uses the loop device, one sentence each: mounts in this process's mount namespace, and
    /// devices made of it. Open descriptors of programs are not seen.
    #[must_use]
    pub fn holders(&self) -> Vec<String> {
        let Some(device) = &self.loop_device else {
            return Vec::new();
        };
        let disk = format!("loop{}", device.number());
        let mounted = mounts::read().unwrap_or_default().into_iter();
        let mut holders: Vec<_> = mounted
            .filter(|mount| mounts::disk_of(mount).as_deref() == Some(disk.as_str()))
            .map(|mount| format!("mounted on {}", mount.mount_point.display()))
            .collect();
        let stacked = fs::read_dir(format!("/sys/block/{disk}/holders"))
            .into_iter()
            .flatten();
        let names = stacked.flatten().map(|entry| entry.file_name());
        holders.extend(names.map(|name| format!("part of {}", name.to_string_lossy())));
        holders
    }

    /// Says that the disk has another size now: the loop device takes it over. The FUSE file has it
    /// by itself; NBD clients keep the size of their start, because the protocol cannot tell them.
    ///
    /// # Errors
    /// [`LoopError::Device`].
    pub async fn set_geometry_changed(&self) -> Result<(), LoopError> {
        let (Some(device), Some(file)) = (&self.loop_device, &self.fuse_file) else {
            return Ok(());
        };
        let (node, file) = (device.node().to_owned(), file.clone());
        let update = move || LoopDevice::update_capacity(&node, &file);
        self.shared
            .handle
            .spawn_blocking(update)
            .await
            .unwrap_or(Ok(()))
    }

    /// Takes the disk away: links, loop device, FUSE file, NBD server. It always ends, within a
    /// minute also when the disk hangs. What is still in use is left behind and said; see [`Removal`].
    pub async fn remove(mut self) -> Removal {
        let mut removal = Removal::default();
        for link in std::mem::take(&mut self.links) {
            if let Err(error) = self.shared.remove_link(&link, &self.id) {
                removal
                    .left_behind
                    .push(format!("the link {}: {error}", link.display()));
            }
        }
        let nbd = self.nbd.take();
        let handle = self.shared.handle.clone();
        let detached = handle.spawn_blocking(move || {
            self.detach_and_unmount(&mut removal);
            if let Err(error) = self.journal.remove() {
                removal.left_behind.push(format!("the journal: {error}"));
            }
            removal
        });
        let removal = detached.await.unwrap_or_default();
        if let Some(server) = nbd {
            server.stop().await;
        }
        removal
    }

    fn detach_and_unmount(&mut self, removal: &mut Removal) {
        if let Some(device) = self.loop_device.take() {
            let name = device.node().display().to_string();
            let mut detached = device.detach();
            if let (Err(error), Some(fuse)) = (&detached, &self.fuse)
                && error.is_timeout()
            {
                // It waits for a disk that does not answer. Now its requests fail.
                fuse.abort();
                detached = device.detach();
            }
            match detached {
                Ok(true) => {}
                Ok(false) => removal.left_behind.push(format!("{name} is in use")),
                Err(error) => removal.left_behind.push(format!("{name}: {error}")),
            }
        }
        if let Some(fuse) = self.fuse.take() {
            let file = fuse.file().display().to_string();
            match fuse.unmount() {
                Ok(true) => {}
                Ok(false) => removal.left_behind.push(format!("{file} is in use")),
                Err(error) => removal.left_behind.push(format!("{file}: {error}")),
            }
        }
        let _ = fs::remove_dir(self.shared.layout.mount_point(&self.id));
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.shared.give_links_back(&self.id);
        self.shared.give_id_back(&self.id);
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
