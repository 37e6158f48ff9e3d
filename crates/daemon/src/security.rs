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
const MIN_CHAP_SECRET_LEN: usize = 12;
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

/// Which lengths of secrets are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lengths {
    /// Under 12 bytes too (`chap.allow_short_secrets`).
    pub(crate) short: bool,
    /// Over the 16 bytes of the Discovery Library too.
    pub(crate) long: bool,
}

/// Refuses a CHAP secret that a login must not use: an empty one, and without IPsec one of fewer than
/// 96 bits unless short ones are allowed. `whose` begins the sentence, `status` says which secret it is.
pub(crate) fn check_length(
    secret: &Secret,
    allow_short: bool,
    whose: &str,
    status: Status,
) -> Result<(), Failure> {
    let least = if allow_short { 1 } else { MIN_CHAP_SECRET_LEN };
    if secret.expose().len() >= least {
        return Ok(());
    }
    let what = format!(
        "{whose} CHAP secret is too short: without IPsec it needs {MIN_CHAP_SECRET_LEN} bytes at least \
         (RFC 7143 section 9.2.1)"
    );
    Err(Failure::new(status, what).with_advice(
        "set a longer secret on both sides; chap.allow_short_secrets = true in hawser.toml takes it as \
         it is, and whoever records a login can then guess it",
    ))
}

/// Stores the secret that targets must prove in mutual CHAP; gives a warning status or success. What no
/// login would use is refused.
pub(crate) async fn set_chap_secret(
    records: &Records,
    secret: Option<Secret>,
    lengths: Lengths,
) -> Result<(Change, Status), Failure> {
    let longest = if lengths.long {
        MAX_LONG_CHAP_SECRET_LEN
    } else {
        MAX_CHAP_SECRET_LEN
    };
    let length = secret.as_ref().map_or(0, |secret| secret.expose().len());
    let status = Status::INVALID_INITIATOR_CHAP_SECRET;
    if length == 0 || length > longest {
        let what = format!("the initiator's CHAP secret has 1 to {longest} bytes");
        return Err(Failure::new(status, what));
    }
    if let Some(secret) = &secret {
        check_length(secret, lengths.short, "the initiator's", status)?;
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
    async fn chap_secrets_are_bounded_and_short_ones_refused_unless_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let records = records(directory.path());
        let set = async |bytes: &[u8], short, long| {
            let lengths = Lengths { short, long };
            set_chap_secret(&records, Some(Secret::new(bytes)), lengths).await
        };
        assert_eq!(
            set(b"0123456789ab", false, false).await.unwrap(),
            (Change::Created, Status::ERROR_SUCCESS)
        );
        let refused = set(b"0123456789a", false, false).await.unwrap_err();
        assert_eq!(refused.status, Status::INVALID_INITIATOR_CHAP_SECRET);
        assert!(refused.advice.contains("allow_short_secrets"), "{refused}");
        let kept = chap_secret(&records).unwrap().unwrap();
        assert_eq!(
            kept.expose(),
            b"0123456789ab",
            "what is refused changes nothing"
        );
        assert_eq!(
            set(b"short", true, false).await.unwrap(),
            (Change::Updated, Status::SHORT_CHAP_SECRET)
        );
        assert_eq!(
            set(b"short", true, false).await.unwrap().0,
            Change::Updated,
            "never says it is the same"
        );
        for (bytes, long) in [(&b""[..], true), (&[b'x'; 17], false), (&[b'x'; 256], true)] {
            let failure = set(bytes, true, long).await.unwrap_err();
            assert_eq!(failure.status, Status::INVALID_INITIATOR_CHAP_SECRET);
        }
        set(&[b'x'; 255], false, true).await.unwrap();
        assert_eq!(chap_secret(&records).unwrap().unwrap().expose().len(), 255);
    }
}
