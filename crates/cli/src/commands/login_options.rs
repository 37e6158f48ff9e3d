//! Turns the login options of the command line into those of a call, and shows stored ones.

use std::net::IpAddr;

use hawser_api::v1::{
    AuthType, Change, ClearChapSecretRequest, Digest, InitiatorPort, LoginOptions, OnLost, Secret,
    SetChapSecretRequest,
};
use serde::Serialize;

use super::Daemon;
use crate::args::{
    ChapArgs, ChapSecretCommand, ConnectionArgs, DigestArgs, DigestChoice, LoginOptionArgs,
    OnLostChoice,
};
use crate::error::CliError;
use crate::output;
use crate::secret::{self, CHAP_VARIABLE, MUTUAL_VARIABLE};

/// The options of a login; `None` if nothing was said, so that the target's stored ones count.
///
/// # Errors
/// A secret cannot be had.
pub(crate) fn from_args(args: &LoginOptionArgs) -> Result<Option<LoginOptions>, CliError> {
    let on_lost = match args.on_lost {
        None => OnLost::Default,
        Some(OnLostChoice::Hold) => OnLost::Hold,
        Some(OnLostChoice::Fail) => OnLost::Fail,
    };
    let offered = |choice: Option<DigestChoice>| choice.map(|choice| digest(choice).into());
    let mut options = LoginOptions {
        header_digest: offered(args.digests.header_digest),
        data_digest: offered(args.digests.data_digest),
        on_lost: on_lost.into(),
        hold_time_s: args.hold_time,
        ..LoginOptions::default()
    };
    take_chap(&mut options, &args.chap)?;
    if args.mutual {
        take_mutual(&mut options, args)?;
    }
    Ok((options != LoginOptions::default()).then_some(options))
}

/// The same with how many connections the session has, and its error recovery level.
///
/// # Errors
/// More connections are to be made than there may be.
pub(crate) fn with_connections(
    options: Option<LoginOptions>,
    args: &ConnectionArgs,
) -> Result<Option<LoginOptions>, CliError> {
    let ConnectionArgs {
        connections,
        max_connections,
        error_recovery_level,
    } = *args;
    if let (Some(made), Some(most)) = (connections, max_connections)
        && made > most
    {
        let text = format!("--connections {made} is more than --max-connections {most}");
        return Err(CliError::usage(text));
    }
    let options = LoginOptions {
        connections,
        max_connections,
        error_recovery_level,
        ..options.unwrap_or_default()
    };
    Ok((options != LoginOptions::default()).then_some(options))
}

/// The options of one further connection; `None` if nothing was said, so that those of the session count.
///
/// # Errors
/// A secret cannot be had.
pub(crate) fn of_connection(
    digests: &DigestArgs,
    chap: &ChapArgs,
) -> Result<Option<LoginOptions>, CliError> {
    let offered = |choice: Option<DigestChoice>| choice.map(|choice| digest(choice).into());
    let mut options = LoginOptions {
        header_digest: offered(digests.header_digest),
        data_digest: offered(digests.data_digest),
        ..LoginOptions::default()
    };
    take_chap(&mut options, chap)?;
    Ok((options != LoginOptions::default()).then_some(options))
}

fn digest(choice: DigestChoice) -> Digest {
    match choice {
        DigestChoice::None => Digest::None,
        DigestChoice::Crc32c => Digest::Crc32c,
        DigestChoice::PreferCrc32c => Digest::PreferCrc32c,
    }
}

fn take_chap(options: &mut LoginOptions, chap: &ChapArgs) -> Result<(), CliError> {
    let found = secret::find(chap.chap_secret_file.as_ref(), CHAP_VARIABLE)?;
    if found.is_none() && chap.chap_user.is_some() {
        let advice = format!("give --chap-secret-file FILE (- for stdin), or set {CHAP_VARIABLE}");
        return Err(CliError::usage("--chap-user without a secret").advice(advice));
    }
    if let Some(found) = found {
        options.auth_type = Some(AuthType::Chap.into());
        options.secret = Some(Secret::new(found.as_slice()));
        options.username = chap
            .chap_user
            .as_ref()
            .map(|user| user.clone().into_bytes());
    }
    Ok(())
}

fn take_mutual(options: &mut LoginOptions, args: &LoginOptionArgs) -> Result<(), CliError> {
    if options.secret.is_none() {
        let advice = format!("give --chap-secret-file FILE (- for stdin), or set {CHAP_VARIABLE}");
        let text = "--mutual needs the secret that proves us, too";
        return Err(CliError::usage(text).advice(advice));
    }
    let own = secret::find(args.mutual_secret_file.as_ref(), MUTUAL_VARIABLE)?;
    options.auth_type = Some(AuthType::MutualChap.into());
    options.mutual_username = args
        .mutual_user
        .as_ref()
        .map(|user| user.clone().into_bytes());
    options.mutual_secret = own.map(|secret| Secret::new(secret.as_slice()));
    Ok(())
}

/// `hawser chap-secret`. Making a secret needs no daemon.
///
/// # Errors
/// Why it failed.
pub(crate) async fn chap_secret(
    daemon: &Daemon,
    command: ChapSecretCommand,
) -> Result<(), CliError> {
    match command {
        ChapSecretCommand::Set(args) => {
            let found = secret::find_or_stdin(args.secret_file.as_ref(), MUTUAL_VARIABLE)?;
            let request = SetChapSecretRequest {
                secret: Some(Secret::new(found.as_slice())),
                allow_long: args.allow_long,
                store_short: false,
            };
            let client = daemon.client().await?;
            let answer = client
                .security()
                .set_chap_secret(request)
                .await?
                .into_inner();
            if let Some(warning) = output::warning(answer.warning) {
                output::note(&warning);
            }
            output::print("the initiator's CHAP secret is set")
        }
        ChapSecretCommand::Clear => {
            let client = daemon.client().await?;
            let answer = client
                .security()
                .clear_chap_secret(ClearChapSecretRequest {})
                .await?;
            output::print(match answer.into_inner().change() {
                Change::Unchanged => "no CHAP secret of the initiator was set",
                _ => "the initiator's CHAP secret is cleared",
            })
        }
        ChapSecretCommand::Generate(args) => {
            let made = secret::generate(args.length.into())?;
            let Some(path) = &args.output else {
                return output::print(&made);
            };
            secret::write_new(path, &made)?;
            output::print(&format!(
                "a random CHAP secret of {} characters is in {}",
                made.len(),
                hawser_api::printable(&path.display().to_string())
            ))
        }
    }
}

/// Login options in JSON. Secrets are never in it, only whether they are stored.
#[derive(Debug, Serialize)]
pub(crate) struct LoginOptionsView {
    auth: Option<&'static str>,
    header_digest: Option<&'static str>,
    data_digest: Option<&'static str>,
    chap_user: Option<String>,
    chap_secret_set: bool,
    mutual_user: Option<String>,
    mutual_secret_set: bool,
    on_lost: &'static str,
    hold_time_s: Option<u32>,
    connections: Option<u32>,
    max_connections: Option<u32>,
    error_recovery_level: Option<u32>,
}

impl From<&LoginOptions> for LoginOptionsView {
    fn from(options: &LoginOptions) -> Self {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        Self {
            auth: options.auth_type.map(|_| auth_name(options.auth_type())),
            header_digest: options
                .header_digest
                .map(|_| digest_name(options.header_digest())),
            data_digest: options
                .data_digest
                .map(|_| digest_name(options.data_digest())),
            chap_user: options.username.as_ref().map(text),
            chap_secret_set: options.secret_set,
            mutual_user: options.mutual_username.as_ref().map(text),
            mutual_secret_set: options.mutual_secret_set,
            on_lost: on_lost_name(options.on_lost()),
            hold_time_s: options.hold_time_s,
            connections: options.connections,
            max_connections: options.max_connections,
            error_recovery_level: options.error_recovery_level,
        }
    }
}

/// The name of an authentication kind.
pub(crate) fn auth_name(kind: AuthType) -> &'static str {
    match kind {
        AuthType::None => "none",
        AuthType::Chap => "chap",
        AuthType::MutualChap => "mutual-chap",
    }
}

/// The name of a digest choice.
pub(crate) fn digest_name(digest: Digest) -> &'static str {
    match digest {
        Digest::None => "none",
        Digest::Crc32c => "crc32c",
        Digest::PreferCrc32c => "prefer-crc32c",
    }
}

/// The name of what becomes of held I/O.
pub(crate) fn on_lost_name(choice: OnLost) -> &'static str {
    match choice {
        OnLost::Default => "default",
        OnLost::Hold => "hold",
        OnLost::Fail => "fail",
    }
}

/// The address to connect from, as a call names it.
pub(crate) fn from_source(address: IpAddr) -> InitiatorPort {
    InitiatorPort {
        source_address: Some(address.to_string()),
        ..InitiatorPort::default()
    }
}

/// The chosen source address, if one was.
pub(crate) fn source(initiator: Option<&InitiatorPort>) -> Option<&str> {
    initiator?.source_address.as_deref()
}

/// A few words on the options and the source address, for a table: `chap`, `header crc32c, from ::1`.
pub(crate) fn summary(options: Option<&LoginOptions>, initiator: Option<&InitiatorPort>) -> String {
    let mut words = options.map(option_words).unwrap_or_default();
    words.extend(source(initiator).map(|address| format!("from {address}")));
    words.join(", ")
}

fn option_words(options: &LoginOptions) -> Vec<String> {
    let mut words = Vec::new();
    if options.auth_type.is_some() && options.auth_type() != AuthType::None {
        words.push(auth_name(options.auth_type()).to_owned());
    }
    let digests = [
        (
            "header",
            options.header_digest.map(|_| options.header_digest()),
        ),
        ("data", options.data_digest.map(|_| options.data_digest())),
    ];
    for (which, digest) in digests {
        if let Some(digest) = digest.filter(|digest| *digest != Digest::None) {
            words.push(format!("{which} {}", digest_name(digest)));
        }
    }
    if let Some(connections) = options.connections.filter(|count| *count > 1) {
        words.push(format!("{connections} connections"));
    }
    if let Some(level) = options.error_recovery_level {
        words.push(format!("recovery level {level}"));
    }
    words
}

#[cfg(test)]
mod tests;
