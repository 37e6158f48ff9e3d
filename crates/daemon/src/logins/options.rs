//! What a session is opened with: portals, login options, time limits, from what is asked for and stored.

use std::net::IpAddr;
use std::time::Duration;

use hawser_api::{Failure, Status};
use hawser_engine::{
    ChapCredentials, DigestPolicy, IscsiName, LoginOptions, Secret, SessionOptions, Timeouts,
};
use hawser_store as store;

use super::Wanted;
use super::isids::choose_isid;
use crate::daemon::Daemon;
use crate::discovery::KnownTarget;
use crate::sessions::Origin;
use crate::{connections, convert, initiators, ipsec, radius, security};

/// `ISCSI_LOGIN_FLAGS`: other portals of the target may be tried.
const FLAG_PORTAL_HOPPING: u32 = 0x08;
/// Portals that one login tries.
const MAX_PORTALS: usize = 32;

/// What a session needs to be opened.
pub(super) struct Prepared {
    pub(super) options: SessionOptions,
    pub(super) origin: Origin,
}

/// Checks what is `wanted` and puts together what its session is opened with.
pub(super) async fn prepare(
    daemon: &Daemon,
    wanted: &Wanted,
    options: &store::LoginOptions,
    known: &KnownTarget,
) -> Result<Prepared, Failure> {
    ipsec::refuse(wanted.security_flags, options.login_flags)?;
    radius::refuse(options.login_flags)?;
    if daemon.sessions.count() >= daemon.config.max_sessions {
        let message = format!(
            "there are {} sessions, the limit",
            daemon.config.max_sessions
        );
        return Err(Failure::new(Status::TOO_MANY_SESSIONS, message));
    }
    let name = security::login_name(&daemon.records).await?;
    let (portals, tag) = portals(daemon, wanted, options, known)?;
    let mut login = login_options(daemon, name.clone(), options)?;
    login.source = initiators::source(&wanted.initiator)?;
    let (isid_key, isid) = choose_isid(daemon, name.as_str(), wanted.target.as_str(), tag).await?;
    let first = portals
        .first()
        .cloned()
        .ok_or_else(|| no_portal(wanted.target.as_str()))?;
    let target = known.name.as_ref().unwrap_or(&wanted.target);
    let mut session = SessionOptions::new(login, target.clone(), first, isid);
    session.portals = portals;
    session.timeouts = timeouts(options);
    session.busy_polling = daemon.config.busy_polling;
    session.connections = connections::wanted(options);
    let bare = store::LoginOptions {
        secret: None,
        mutual_secret: None,
        ..options.clone()
    };
    let origin = Origin {
        target: wanted.target.as_str().to_owned(),
        informational: wanted.informational,
        initiator: wanted.initiator.clone(),
        initiator_name: name.as_str().to_owned(),
        options: bare,
        asked: wanted.options.clone(),
        mapping: wanted.mapping.clone().or_else(|| known.mapping.clone()),
        isid,
        isid_key,
    };
    Ok(Prepared {
        options: session,
        origin,
    })
}

fn no_portal(target: &str) -> Failure {
    Failure::new(
        Status::NO_PORTAL_SPECIFIED,
        format!("no portal of {target} is known"),
    )
    .with_target(target)
    .with_advice("name one with --portal, or refresh the portals")
}

/// The portals to try in turn, the chosen one first, and the tag of the first one's group.
fn portals(
    daemon: &Daemon,
    wanted: &Wanted,
    options: &store::LoginOptions,
    known: &KnownTarget,
) -> Result<(Vec<hawser_engine::Portal>, Option<u16>), Failure> {
    let hopping = options.login_flags & FLAG_PORTAL_HOPPING != 0;
    let mut chosen = Vec::new();
    let mut tag = None;
    if let Some(portal) = wanted.portal.as_ref().or(wanted.moved_to.as_ref()) {
        let portal = convert::engine_portal(portal)?;
        // A target that has moved mostly has its groups as before, and its session then keeps its ISID.
        let first = || known.portals.first().and_then(|(_, tag)| *tag);
        tag = known.tag_of(&portal).or_else(first);
        chosen.push(portal);
    }
    if wanted.portal.is_none() || hopping {
        for (portal, group) in &known.portals {
            if chosen.len() >= MAX_PORTALS {
                break;
            }
            let usable = daemon.config.link_local || !is_link_local(portal);
            if usable && !chosen.contains(portal) {
                if chosen.is_empty() {
                    tag = *group;
                }
                chosen.push(portal.clone());
            }
        }
    }
    if chosen.is_empty() {
        return Err(no_portal(wanted.target.as_str()));
    }
    Ok((chosen, tag))
}

/// Addresses that mean something on one link only, as targets list them by mistake.
fn is_link_local(portal: &hawser_engine::Portal) -> bool {
    let host = portal.host();
    let literal = host.split_once('%').map_or(host, |(literal, _)| literal);
    match literal.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// The login options as the engine takes them.
pub(crate) fn login_options(
    daemon: &Daemon,
    name: IscsiName,
    options: &store::LoginOptions,
) -> Result<LoginOptions, Failure> {
    let mut login = LoginOptions::new(name);
    let digest = |digest: Option<store::Digest>| match digest {
        None | Some(store::Digest::None) => DigestPolicy::None,
        Some(store::Digest::Crc32c) => DigestPolicy::Crc32c,
        Some(store::Digest::PreferCrc32c) => DigestPolicy::PreferCrc32c,
    };
    login.header_digest = digest(options.header_digest);
    login.data_digest = digest(options.data_digest);
    let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    login.time2wait = options.default_time2wait_s.map_or(login.time2wait, short);
    login.time2retain = options
        .default_time2retain_s
        .map_or(login.time2retain, short);
    login.max_outstanding_r2t = options
        .max_outstanding_r2t
        .map_or(login.max_outstanding_r2t, short);
    login.max_recv_data_segment = options
        .max_recv_data_segment_length
        .unwrap_or(login.max_recv_data_segment);
    login.max_burst = options.max_burst_length.unwrap_or(login.max_burst);
    // The pair must fit together even where it was given in part (RFC 7143 §13.14).
    login.first_burst = options
        .first_burst_length
        .unwrap_or(login.first_burst)
        .min(login.max_burst);
    login.initial_r2t = options.initial_r2t.unwrap_or(login.initial_r2t);
    login.immediate_data = options.immediate_data.unwrap_or(login.immediate_data);
    login.max_connections = connections::offered(options);
    login.error_recovery_level = connections::level(options, daemon.config.error_recovery_level);
    login.chap = chap(daemon, &login.initiator_name, options)?;
    Ok(login)
}

/// CHAP names and secrets, checked by the rules of the Discovery Library.
fn chap(
    daemon: &Daemon,
    name: &IscsiName,
    options: &store::LoginOptions,
) -> Result<Option<ChapCredentials>, Failure> {
    // What is empty was said so that nothing stored counts; it is no name and no secret.
    let name_given = options.username.as_ref().filter(|user| !user.is_empty());
    let secret = options.secret.as_ref();
    let secret = secret.filter(|secret| !secret.expose().is_empty());
    let given = secret.is_some() || name_given.is_some();
    let default = if given {
        store::AuthType::Chap
    } else {
        store::AuthType::None
    };
    let kind = options.auth_type.unwrap_or(default);
    if kind == store::AuthType::None {
        return Ok(None);
    }
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| {
            Failure::new(
                Status::INVALID_CHAP_USER_NAME,
                "a CHAP name must be UTF-8 text",
            )
        })
    };
    let user = name_given.map_or_else(|| name.as_str().into(), Clone::clone);
    let secret = secret.ok_or_else(|| {
        Failure::new(
            Status::INVALID_TARGET_CHAP_SECRET,
            "CHAP needs the target's secret",
        )
        .with_advice("give it with --chap-secret-file")
    })?;
    let short = daemon.config.allow_short_secrets;
    let status = Status::INVALID_TARGET_CHAP_SECRET;
    security::check_length(secret, short, "the target's", status)?;
    let mut chap = ChapCredentials::one_way(user, Secret::new(secret.expose().to_vec()));
    chap.allow_md5 = daemon.config.allow_md5;
    chap.allow_short_secrets = short;
    if kind == store::AuthType::MutualChap {
        let own = match &options.mutual_secret {
            Some(own) => Some(own.clone()),
            None => security::chap_secret(&daemon.records)?,
        };
        let status = Status::INVALID_INITIATOR_CHAP_SECRET;
        let own = own.ok_or_else(|| {
            Failure::new(status, "mutual CHAP needs the initiator's secret")
                .with_advice("set it with `hawser chap-secret set`")
        })?;
        security::check_length(&own, short, "the initiator's", status)?;
        if own == *secret {
            let what = "the secrets of the two directions must differ (RFC 7143 section 9.2.1)";
            return Err(Failure::new(Status::INVALID_CHAP_SECRET, what));
        }
        let peer = options.mutual_username.as_deref().map(text).transpose()?;
        chap.mutual = Some((peer, Secret::new(own.expose().to_vec())));
    }
    Ok(Some(chap))
}

/// The time limits as the engine takes them.
pub(crate) fn timeouts(options: &store::LoginOptions) -> Timeouts {
    let mut timeouts = Timeouts::default();
    let ms = |value: Option<u32>, default: Duration| {
        value.map_or(default, |value| Duration::from_millis(value.into()))
    };
    timeouts.login = ms(options.login_timeout_ms, timeouts.login);
    timeouts.ping_interval = ms(options.nop_interval_ms, timeouts.ping_interval);
    timeouts.ping_timeout = ms(options.nop_timeout_ms, timeouts.ping_timeout);
    timeouts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_told_apart() {
        let portal = |host: &str| hawser_engine::Portal::new(host, 3260).unwrap();
        for host in ["169.254.1.1", "fe80::1", "fe80::1%eth0"] {
            assert!(is_link_local(&portal(host)), "{host}");
        }
        for host in ["192.0.2.1", "2001:db8::1", "san.example", "127.0.0.1"] {
            assert!(!is_link_local(&portal(host)), "{host}");
        }
    }
}
