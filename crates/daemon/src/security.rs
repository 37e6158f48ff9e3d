//! Who we are and who may do what: node name, the initiator's own secret, credentials of callers.

use hawser_api::{Failure, Status};
use hawser_engine::IscsiName;
use hawser_store::{Change, NodeName, Secret, SecretName, StoredSecret};
use tonic::transport::server::UdsConnectInfo;

use crate::records::Records;

/// Start of the names that daemons make for themselves, in a domain of the project's own (RFC 7143
/// §4.2.7.4).
const DEFAULT_NAME_PREFIX: &str = "iqn.2026-01.io.github.hawser:";
/// Longest host part of such a name, in bytes.
const MAX_HOST_LEN: usize = 100;
/// `MAX_ISCSI_NAME_LEN`.
const MAX_NAME_LEN: usize = 223;
/// RFC 7143 §9.2.1: the shortest CHAP secret to be used without IPsec, in bytes.
pub(crate) const MIN_CHAP_SECRET_LEN: usize = 12;
/// Longest initiator secret of the Discovery Library, in bytes.
const MAX_CHAP_SECRET_LEN: usize = 16;
/// Longest initiator secret when long ones are allowed, in bytes.
const MAX_LONG_CHAP_SECRET_LEN: usize = 255;

/// The name of this initiator; made and stored on first use.
pub(crate) async fn node_name(records: &Records) -> Result<NodeName, Failure> {
    if let Some(name) = records.get::<NodeName>(&())? {
        return Ok(name);
    }
    let made = NodeName {
        name: default_name()?,
        is_default: true,
    };
    records.put(made.clone()).await?;
    Ok(made)
}

/// Sets the name for logins from now on; an empty one goes back to the default.
pub(crate) async fn set_node_name(
    records: &Records,
    name: &str,
) -> Result<(NodeName, Change), Failure> {
    let present = records.get::<NodeName>(&())?;
    let wanted = if name.is_empty() {
        match present {
            Some(present) if present.is_default => return Ok((present, Change::Unchanged)),
            _ => NodeName {
                name: default_name()?,
                is_default: true,
            },
        }
    } else if name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        let what = format!("a node name has 1 to {MAX_NAME_LEN} bytes and no control characters");
        return Err(Failure::new(Status::INVALID_ISCSI_NAME, what));
    } else {
        NodeName {
            name: name.to_owned(),
            is_default: false,
        }
    };
    let change = records.put(wanted.clone()).await?;
    Ok((wanted, change))
}

/// The name as logins need it. Any text can be stored as the name, as the Discovery Library has it;
/// only a login demands one that is valid.
pub(crate) async fn login_name(records: &Records) -> Result<IscsiName, Failure> {
    let name = node_name(records).await?.name;
    IscsiName::parse(&name).map_err(|error| {
        Failure::new(
            Status::INVALID_ISCSI_NAME,
            format!("our node name: {error}"),
        )
        .with_advice("set another with `hawser node-name`")
    })
}

fn default_name() -> Result<String, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host_part(&host);
    if !host.is_empty() {
        return Ok(format!("{DEFAULT_NAME_PREFIX}{host}"));
    }
    let mut random = [0; 6];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(
            Status::NON_SPECIFIC_ERROR,
            format!("no random number: {error}"),
        )
    })?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{DEFAULT_NAME_PREFIX}{digits}"))
}

/// A host name in the characters of iSCSI names; empty if it tells nothing.
fn host_part(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let host: String = host
        .chars()
        .filter(|c| plain(*c))
        .take(MAX_HOST_LEN)
        .collect();
    let host = host.trim_matches(['-', '.']);
    if matches!(host, "localhost" | "localhost.localdomain") {
        String::new()
    } else {
        host.to_owned()
    }
}

/// Stores the secret that targets must prove in mutual CHAP; gives a warning status or success.
pub(crate) async fn set_chap_secret(
    records: &Records,
    secret: Option<Secret>,
    allow_long: bool,
) -> Result<(Change, Status), Failure> {
    let longest = if allow_long {
        MAX_LONG_CHAP_SECRET_LEN
    } else {
        MAX_CHAP_SECRET_LEN
    };
    let length = secret.as_ref().map_or(0, |secret| secret.expose().len());
    if length == 0 || length > longest {
        let what = format!("the initiator's CHAP secret has 1 to {longest} bytes");
        return Err(Failure::new(Status::INVALID_INITIATOR_CHAP_SECRET, what));
    }
    let stored = StoredSecret {
        name: SecretName::InitiatorChap,
        secret,
    };
    // Whether it is the same as before is never told.
    let change = match records.put(stored).await? {
        Change::Created => Change::Created,
        _ => Change::Updated,
    };
    let short = length < MIN_CHAP_SECRET_LEN;
    Ok((
        change,
        if short {
            Status::SHORT_CHAP_SECRET
        } else {
            Status::ERROR_SUCCESS
        },
    ))
}

/// The secret that targets must prove in mutual CHAP.
pub(crate) fn chap_secret(records: &Records) -> Result<Option<Secret>, Failure> {
    let stored = records.get::<StoredSecret>(&SecretName::InitiatorChap)?;
    Ok(stored.and_then(|stored| stored.secret))
}

/// Refuses callers that may not change anything: all but root and the daemon's own user.
pub(crate) fn may_change<T>(request: &tonic::Request<T>) -> Result<(), tonic::Status> {
    let own = nix::unistd::geteuid().as_raw();
    let caller = caller(request);
    if caller.is_some_and(|uid| uid == 0 || uid == own) {
        return Ok(());
    }
    let who = caller.map_or("an unknown user".to_owned(), |uid| format!("user {uid}"));
    tracing::warn!(who, "refused a change: only root and user {own} may");
    Err(Failure::new(
        Status::ERROR_ACCESS_DENIED,
        format!("{who} may not change anything"),
    )
    .with_advice(format!("run the command as root or as user {own}"))
    .into())
}

/// The user at the other end of the socket, as the kernel says.
fn caller<T>(request: &tonic::Request<T>) -> Option<u32> {
    Some(
        request
            .extensions()
            .get::<UdsConnectInfo>()?
            .peer_cred?
            .uid(),
    )
}

#[cfg(test)]
mod tests {
    use hawser_store::{KeySource, Store};

    use super::*;

    fn records(directory: &std::path::Path) -> Records {
        Records::new(Store::open(directory, &KeySource::choose(None, directory)).unwrap())
    }

    #[tokio::test]
    async fn the_default_name_is_valid_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let first = node_name(&records(directory.path())).await.unwrap();
        assert!(
            first.is_default && IscsiName::parse(&first.name).is_ok(),
            "{first:?}"
        );
        let records = records(directory.path());
        assert_eq!(node_name(&records).await.unwrap(), first);
        let (set, change) = set_node_name(&records, "odd name").await.unwrap();
        assert_eq!((set.name.as_str(), change), ("odd name", Change::Updated));
        assert_eq!(
            login_name(&records).await.unwrap_err().status,
            Status::INVALID_ISCSI_NAME
        );
        let (back, _) = set_node_name(&records, "").await.unwrap();
        assert!(back.is_default);
        assert_eq!(
            set_node_name(&records, "").await.unwrap().1,
            Change::Unchanged
        );
        let long = "x".repeat(224);
        let failure = set_node_name(&records, &long).await.unwrap_err();
        assert_eq!(failure.status, Status::INVALID_ISCSI_NAME);
    }

    #[test]
    fn host_names_become_parts_of_names() {
        for (host, part) in [
            ("Web-1.Example.ORG", "web-1.example.org"),
            ("localhost", ""),
            ("häuser_x", "huserx"),
            ("-.-", ""),
        ] {
            assert_eq!(host_part(host), part);
        }
    }

    #[tokio::test]
    async fn chap_secrets_are_bounded_and_short_ones_warned_of() {
        let directory = tempfile::tempdir().unwrap();
        let records = records(directory.path());
        let set = async |bytes: &[u8], long| {
            set_chap_secret(&records, Some(Secret::new(bytes)), long).await
        };
        assert_eq!(
            set(b"0123456789ab", false).await.unwrap(),
            (Change::Created, Status::ERROR_SUCCESS)
        );
        assert_eq!(
            set(b"short", false).await.unwrap(),
            (Change::Updated, Status::SHORT_CHAP_SECRET)
        );
        assert_eq!(
            set(b"short", false).await.unwrap().0,
            Change::Updated,
            "never says it is the same"
        );
        for (bytes, long) in [(&b""[..], true), (&[b'x'; 17], false), (&[b'x'; 256], true)] {
            let failure = set(bytes, long).await.unwrap_err();
            assert_eq!(failure.status, Status::INVALID_INITIATOR_CHAP_SECRET);
        }
        set(&[b'x'; 255], true).await.unwrap();
        assert_eq!(chap_secret(&records).unwrap().unwrap().expose().len(), 255);
    }
}
