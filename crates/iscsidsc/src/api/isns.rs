//! §2.8: iSNS servers.

use hawser_api::v1;

use super::{Library, Status, ask, calls};

impl Library {
    /// `AddISNSServer`: stores a server and asks it at once for its targets. If it cannot be asked it stays stored.
    ///
    /// # Errors
    /// `ERROR_INVALID_PARAMETER` for what can be no address; why it cannot be asked:
    /// `ISDSC_ISNS_SERVER_NOT_FOUND`, `ISDSC_INCOMPATIBLE_ISNS_VERSION`, `ISDSC_ISNS_FIREWALL_BLOCKED`.
    pub fn add_isns_server(&self, address: &str) -> Result<(), Status> {
        let request = v1::AddIsnsServerRequest {
            address: address.to_owned(),
        };
        ask!(
            self,
            calls::ADD_ISNS_SERVER,
            discovery.add_isns_server,
            request
        )
        .map(drop)
    }

    /// `RemoveISNSServer`: the targets that it told stay.
    ///
    /// # Errors
    /// `ISDSC_ISNS_SERVER_NOT_FOUND`, `ERROR_INVALID_PARAMETER`.
    pub fn remove_isns_server(&self, address: &str) -> Result<(), Status> {
        let request = v1::RemoveIsnsServerRequest {
            address: address.to_owned(),
        };
        ask!(
            self,
            calls::REMOVE_ISNS_SERVER,
            discovery.remove_isns_server,
            request
        )
        .map(drop)
    }

    /// `RefreshISNSServer`: asks a server again, or all of them.
    ///
    /// # Errors
    /// As [`Library::add_isns_server`]; asking all of them does not fail.
    pub fn refresh_isns_server(&self, address: Option<&str>) -> Result<(), Status> {
        let address = address.unwrap_or_default();
        let request = v1::RefreshIsnsServersRequest {
            address: address.to_owned(),
        };
        ask!(
            self,
            calls::REFRESH_ISNS_SERVERS,
            discovery.refresh_isns_servers,
            request
        )
        .map(drop)
    }

    /// `ReportISNSServerList`: in the order of their adding.
    ///
    /// # Errors
    /// Those of every call.
    pub fn isns_servers(&self) -> Result<Vec<String>, Status> {
        let request = v1::ListIsnsServersRequest {};
        let listed = ask!(
            self,
            calls::LIST_ISNS_SERVERS,
            discovery.list_isns_servers,
            request
        )?;
        let all = listed.servers.into_iter();
        Ok(all.map(|server| server.address).collect())
    }
}
