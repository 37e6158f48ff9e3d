//! Who a bound disk must be: the identity in the store, on the wire and as text.

use hawser_api::v1;
use hawser_engine::DiskIdentity;
use hawser_scsi::identity::IdentityKind;
use hawser_store as store;

/// The identity as it is stored: its kind and the text after the prefix.
pub(crate) fn stored(text: &str) -> Option<store::DiskIdentity> {
    let identity: DiskIdentity = text.parse().ok()?;
    let kind = match identity.kind() {
        IdentityKind::Naa => store::IdentityType::Naa,
        IdentityKind::Eui64 => store::IdentityType::Eui64,
        IdentityKind::T10 => store::IdentityType::T10,
        IdentityKind::Serial => store::IdentityType::Serial,
    };
    let value = text.strip_prefix(prefix(kind))?.as_bytes().to_vec();
    Some(store::DiskIdentity { kind, value })
}

/// The text of a stored identity.
pub(crate) fn text(identity: &store::DiskIdentity) -> String {
    let value = String::from_utf8_lossy(&identity.value);
    format!("{}{value}", prefix(identity.kind))
}

fn prefix(kind: store::IdentityType) -> &'static str {
    match kind {
        store::IdentityType::Naa => "naa.",
        store::IdentityType::Eui64 => "eui.",
        store::IdentityType::T10 => "t10.",
        store::IdentityType::Serial => "serial.",
    }
}

/// The identity with this text, as the RPC shows it.
pub(crate) fn show(text: &str) -> v1::DiskIdentity {
    let Some(identity) = stored(text) else {
        return v1::DiskIdentity::default();
    };
    let kind = match identity.kind {
        store::IdentityType::Naa => v1::IdentityType::Naa,
        store::IdentityType::Eui64 => v1::IdentityType::Eui64,
        store::IdentityType::T10 => v1::IdentityType::T10,
        store::IdentityType::Serial => v1::IdentityType::Serial,
    };
    v1::DiskIdentity {
        r#type: kind.into(),
        value: String::from_utf8_lossy(&identity.value).into_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_keep_their_text() {
        for name in [
            "naa.6001405000000001",
            "eui.0011223344556677",
            "t10.HAWSER%20x",
            "serial.42",
        ] {
            assert_eq!(text(&stored(name).unwrap()), name);
            assert_eq!(show(name).text, name);
        }
        assert!(stored("wwn.1").is_none());
        assert_eq!(show("naa.60").r#type(), v1::IdentityType::Naa);
        assert_eq!(show("naa.60").value, "60");
    }
}
