//! The calls of the contract that the library makes, and which of them may be made twice.
//!
//! A call that only reads may be repeated when its connection breaks. So may one that sets a state and answers the
//! same however often it is asked. One that tells a first time from a second, such as binding (already bound) or
//! removing (not found), may not: its caller would be told of a failure that was a success. `look` is a call that may be
//! repeated and has a deadline of seconds, though others of its name talk to targets.

use crate::client::Call;

macro_rules! calls {
    ($($constant:ident = $service:literal $method:literal $again:ident;)*) => {
        $(
            pub(super) const $constant: Call = Call {
                service: concat!("hawser.v1.", $service),
                method: $method,
                repeatable: calls!(@repeatable $again),
                only_looks: calls!(@only_looks $again),
            };
        )*

        /// All of them, for the test that compares them with the contract.
        #[cfg(test)]
        const ALL: &[Call] = &[$($constant),*];
    };
    (@repeatable once) => { false };
    (@repeatable $again:ident) => { true };
    (@only_looks look) => { true };
    (@only_looks $again:ident) => { false };
}

calls! {
    LIST_INITIATORS = "System" "ListInitiators" again;
    GET_NODE_NAME = "System" "GetNodeName" again;
    SET_NODE_NAME = "System" "SetNodeName" again;
    ADD_PORTAL = "Discovery" "AddPortal" again;
    REMOVE_PORTAL = "Discovery" "RemovePortal" once;
    REFRESH_PORTALS = "Discovery" "RefreshPortals" again;
    LIST_PORTALS = "Discovery" "ListPortals" again;
    LIST_TARGETS = "Discovery" "ListTargets" look;
    REFRESH_TARGETS = "Discovery" "ListTargets" again;
    GET_TARGET = "Discovery" "GetTarget" again;
    ADD_STATIC_TARGET = "Discovery" "AddStaticTarget" again;
    REMOVE_STATIC_TARGET = "Discovery" "RemoveStaticTarget" once;
    ADD_ISNS_SERVER = "Discovery" "AddIsnsServer" again;
    REMOVE_ISNS_SERVER = "Discovery" "RemoveIsnsServer" once;
    REFRESH_ISNS_SERVERS = "Discovery" "RefreshIsnsServers" again;
    LIST_ISNS_SERVERS = "Discovery" "ListIsnsServers" again;
    LOGIN = "Sessions" "Login" once;
    LOGIN_STORE = "Sessions" "Login" again;
    LOGOUT = "Sessions" "Logout" once;
    ADD_CONNECTION = "Sessions" "AddConnection" once;
    REMOVE_CONNECTION = "Sessions" "RemoveConnection" once;
    LIST_SESSIONS = "Sessions" "ListSessions" again;
    LIST_MAPPINGS = "Sessions" "ListMappings" again;
    LIST_PERSISTENT_LOGINS = "Sessions" "ListPersistentLogins" again;
    REMOVE_PERSISTENT_LOGIN = "Sessions" "RemovePersistentLogin" once;
    LIST_DEVICES = "Volumes" "ListDevices" again;
    BIND = "Volumes" "Bind" once;
    BIND_ALL = "Volumes" "BindAll" again;
    UNBIND = "Volumes" "Unbind" once;
    UNBIND_ALL = "Volumes" "UnbindAll" again;
    LIST_BOUND = "Volumes" "ListBound" again;
    INQUIRY = "Scsi" "Inquiry" again;
    READ_CAPACITY = "Scsi" "ReadCapacity" again;
    REPORT_LUNS = "Scsi" "ReportLuns" again;
    SET_CHAP_SECRET = "Security" "SetChapSecret" again;
    CLEAR_CHAP_SECRET = "Security" "ClearChapSecret" again;
    ADD_RADIUS_SERVER = "Security" "AddRadiusServer" again;
    REMOVE_RADIUS_SERVER = "Security" "RemoveRadiusServer" once;
    LIST_RADIUS_SERVERS = "Security" "ListRadiusServers" again;
    SET_RADIUS_SECRET = "Security" "SetRadiusSecret" again;
    SET_GROUP_PRESHARED_KEY = "Security" "SetGroupPresharedKey" again;
    SET_IKE_INFO = "Security" "SetIkeInfo" again;
    GET_IKE_INFO = "Security" "GetIkeInfo" again;
    SET_TUNNEL_ADDRESS = "Security" "SetTunnelAddress" again;
}

#[cfg(test)]
mod tests {
    use super::ALL;

    const CONTRACT: &[(&str, &str)] = &[
        (
            "System",
            include_str!("../../../api/proto/hawser/v1/system.proto"),
        ),
        (
            "Discovery",
            include_str!("../../../api/proto/hawser/v1/discovery.proto"),
        ),
        (
            "Sessions",
            include_str!("../../../api/proto/hawser/v1/sessions.proto"),
        ),
        (
            "Volumes",
            include_str!("../../../api/proto/hawser/v1/volumes.proto"),
        ),
        (
            "Scsi",
            include_str!("../../../api/proto/hawser/v1/scsi.proto"),
        ),
        (
            "Security",
            include_str!("../../../api/proto/hawser/v1/security.proto"),
        ),
    ];

    #[test]
    fn every_call_is_in_the_contract_by_its_name() {
        for call in ALL {
            let service = call
                .service
                .strip_prefix("hawser.v1.")
                .expect("has a package");
            let (_, text) = CONTRACT
                .iter()
                .find(|(name, _)| *name == service)
                .expect("has a file");
            assert!(text.contains(&format!("service {service} {{")), "{call:?}");
            assert!(text.contains(&format!("rpc {}(", call.method)), "{call:?}");
        }
    }

    #[test]
    fn what_tells_a_first_time_from_a_second_is_not_repeated() {
        for call in ALL {
            let tells = call.method.starts_with("Remove")
                || matches!(call.method, "Bind" | "Unbind" | "Logout");
            assert!(!(tells && call.repeatable), "{call:?}");
        }
    }
}
