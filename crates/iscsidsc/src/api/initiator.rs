//! §2.1: the initiator itself.

use hawser_api::v1;

use super::{Library, Outcome, Status, Version, ask, calls};

impl Library {
    /// `GetIScsiVersionInformation`: this library's version. Needs no daemon.
    #[must_use]
    pub fn version() -> Version {
        let number = |text: &str| text.parse().unwrap_or(0);
        Version {
            major: number(env!("CARGO_PKG_VERSION_MAJOR")),
            minor: number(env!("CARGO_PKG_VERSION_MINOR")),
            build: number(env!("CARGO_PKG_VERSION_PATCH")),
        }
    }

    /// `ReportIScsiInitiatorList`: the initiator instances, at least one.
    ///
    /// # Errors
    /// Those of every call.
    pub fn initiators(&self) -> Result<Vec<String>, Status> {
        let request = v1::ListInitiatorsRequest {};
        let listed = ask!(
            self,
            calls::LIST_INITIATORS,
            system.list_initiators,
            request
        )?;
        let all = listed.initiators.into_iter();
        Ok(all.map(|initiator| initiator.instance).collect())
    }

    /// `GetIScsiInitiatorNodeName`.
    ///
    /// # Errors
    /// Those of every call.
    pub fn node_name(&self) -> Result<String, Status> {
        let request = v1::GetNodeNameRequest {};
        let told = ask!(self, calls::GET_NODE_NAME, system.get_node_name, request)?;
        Ok(told.node_name)
    }

    /// `SetIScsiInitiatorNodeName`: for logins from now on. `None` and empty: back to the default. The format is
    /// not checked.
    ///
    /// # Errors
    /// `ISDSC_INVALID_ISCSI_NAME` for more than 223 bytes.
    pub fn set_node_name(&self, name: Option<&str>) -> Result<Outcome<()>, Status> {
        let node_name = name.unwrap_or_default().to_owned();
        let request = v1::SetNodeNameRequest { node_name };
        let set = ask!(self, calls::SET_NODE_NAME, system.set_node_name, request)?;
        Ok(Outcome::new((), set.warning))
    }
}
