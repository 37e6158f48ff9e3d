//! §2.5 and §5: the devices and volumes that must be there before the services on them start.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use hawser_api::discovery_library::absolute_path;
use hawser_api::v1;

use super::{Library, Status, ask, calls};
use crate::client::given_up_after;

/// How long the system may take to say what is at a path: on a device that is lost it may never say.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

impl Library {
    /// `SetupPersistentIScsiDevices` and `SetupPersistentIScsiVolumes`: binds all that is now on devices of
    /// persistent logins. The list is replaced: what is bound and not there now is taken off it.
    ///
    /// # Errors
    /// Those of every call; nothing there is success.
    pub fn setup_persistent_devices(&self) -> Result<(), Status> {
        let request = v1::BindAllRequest { drop_absent: true };
        ask!(self, calls::BIND_ALL, volumes.bind_all, request).map(drop)
    }

    /// `AddPersistentIScsiDevice`: a mount point, a device or a link to one. A relative path counts from this
    /// process's directory; links are resolved by the daemon.
    ///
    /// # Errors
    /// `ISDSC_DEVICE_NOT_FOUND`: no such path. `ISDSC_DEVICE_NOT_ISCSI_OR_PERSISTENT`: it is not wholly on devices
    /// of persistent logins, or the daemon sees something else there.
    /// `ISDSC_VOLUME_ALREADY_PERSISTENTLY_BOUND`: it is bound, be it there now or not.
    /// `ERROR_INVALID_PARAMETER`: an empty path, or it leads to one that is not UTF-8.
    pub fn add_persistent_device(&self, path: &str) -> Result<(), Status> {
        let (path, seen) = place(path)?;
        let request = v1::BindRequest {
            path,
            seen,
            ..v1::BindRequest::default()
        };
        ask!(self, calls::BIND, volumes.bind, request).map(drop)
    }

    /// `RemovePersistentIScsiDevice`: by its path as it was bound, or another path to the same thing; it need not
    /// be there any more.
    ///
    /// # Errors
    /// `ISDSC_DEVICE_NOT_FOUND` if it is not bound; `ERROR_INVALID_PARAMETER` for an empty path.
    pub fn remove_persistent_device(&self, path: &str) -> Result<(), Status> {
        let (path, seen) = place(path)?;
        let request = v1::UnbindRequest { path, seen };
        ask!(self, calls::UNBIND, volumes.unbind, request).map(drop)
    }

    /// `ClearPersistentIScsiDevices`: takes everything off the list; success too if it is empty.
    ///
    /// # Errors
    /// Those of every call.
    pub fn clear_persistent_devices(&self) -> Result<(), Status> {
        let request = v1::UnbindAllRequest {};
        ask!(self, calls::UNBIND_ALL, volumes.unbind_all, request).map(drop)
    }

    /// `ReportPersistentIScsiDevices`: the bound paths as they were typed, in the order of their binding, whether
    /// they are there now or not.
    ///
    /// # Errors
    /// Those of every call.
    pub fn persistent_devices(&self) -> Result<Vec<String>, Status> {
        let request = v1::ListBoundRequest {};
        let listed = ask!(self, calls::LIST_BOUND, volumes.list_bound, request)?;
        Ok(listed.volumes.into_iter().map(|one| one.path).collect())
    }
}

/// The path from the root, otherwise as typed, and what this process sees there, so that the daemon notices when
/// it sees something else. A path on a dead device may not answer, and nothing is seen then either.
fn place(path: &str) -> Result<(String, Option<v1::PathView>), Status> {
    let path = absolute_path(path).map_err(|failure| failure.status)?;
    let seen = view(path.clone());
    Ok((path, seen))
}

fn view(path: String) -> Option<v1::PathView> {
    let seen = given_up_after(LOOK_LIMIT, move || std::fs::metadata(path));
    let seen = seen?.ok()?;
    Some(v1::PathView {
        st_dev: seen.dev(),
        st_ino: seen.ino(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_path_is_made_absolute_and_looked_at() {
        let here = std::env::current_dir().expect("there is one");
        let (path, seen) = place("Cargo.toml").expect("is a path");
        assert_eq!(Path::new(&path), here.join("Cargo.toml"));
        let truth = std::fs::metadata("Cargo.toml").expect("is there");
        let seen = seen.expect("is seen");
        assert_eq!((seen.st_dev, seen.st_ino), (truth.dev(), truth.ino()));
        let (path, seen) = place("/no such/pläce").expect("is a path");
        assert_eq!((path.as_str(), seen), ("/no such/pläce", None));
    }

    #[test]
    fn what_can_be_no_path_is_refused() {
        assert_eq!(place(""), Err(Status::ERROR_INVALID_PARAMETER));
        assert_eq!(place("/a\0b"), Err(Status::ERROR_INVALID_PARAMETER));
    }
}
