//! Persistently bound volumes and devices.

use std::path::Path;

use hawser_api::Client;
use hawser_api::discovery_library::{Check, absolute_path};
use hawser_api::v1::{
    BindAllRequest, BindRequest, BoundVolume, ListBoundRequest, UnbindAllRequest, UnbindRequest,
};
use serde_json::json;

use super::commands::Request;
use super::page::{Page, shown};
use super::stop::{Answer, Stop};
use super::values::Values;
use crate::commands::{seen_at, whole_reason};

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    BindAll,
    Report,
    Add(BindRequest),
    Remove(UnbindRequest),
    Clear,
}

pub(super) fn bind_all(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Devices(Ask::BindAll))
}

pub(super) fn report(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Devices(Ask::Report))
}

pub(super) fn clear(_: &mut Values) -> Result<Request, Stop> {
    Ok(Request::Devices(Ask::Clear))
}

pub(super) fn add(values: &mut Values) -> Result<Request, Stop> {
    let path = absolute_path(&values.name())?;
    Ok(Request::Devices(Ask::Add(BindRequest {
        seen: seen_at(Path::new(&path)),
        path,
        ..BindRequest::default()
    })))
}

pub(super) fn remove(values: &mut Values) -> Result<Request, Stop> {
    let path = absolute_path(&values.name())?;
    Ok(Request::Devices(Ask::Remove(UnbindRequest {
        seen: seen_at(Path::new(&path)),
        path,
    })))
}

/// Whether the Discovery Library would ask this.
///
/// # Errors
/// Why not.
pub(super) fn check(ask: &Ask) -> Result<(), Stop> {
    match ask {
        Ask::Add(request) => Ok(request.check()?),
        Ask::Remove(request) => Ok(request.check()?),
        Ask::BindAll | Ask::Report | Ask::Clear => Ok(()),
    }
}

pub(super) async fn send(client: &Client, ask: Ask) -> Result<Answer, Stop> {
    let mut volumes = client.volumes();
    match ask {
        Ask::BindAll => {
            // The list is made anew, as the Discovery Library has it.
            let request = BindAllRequest { drop_absent: true };
            let answer = volumes.bind_all(request).await?.into_inner();
            let mut done = Answer::new(Page::default(), paths(&answer.volumes));
            for (what, all) in [
                ("left out", &answer.skipped),
                ("no longer bound", &answer.dropped),
            ] {
                for one in all {
                    let why = one.reason.as_ref().map(whole_reason).unwrap_or_default();
                    done = done.note(format!("{what}: {}: {why}", one.path));
                }
            }
            Ok(done)
        }
        Ask::Report => {
            let answer = volumes.list_bound(ListBoundRequest {}).await?;
            Ok(bound(&answer.into_inner().volumes))
        }
        Ask::Add(request) => {
            volumes.bind(request).await?;
            Ok(Answer::done())
        }
        Ask::Remove(request) => {
            volumes.unbind(request).await?;
            Ok(Answer::done())
        }
        Ask::Clear => {
            let answer = volumes.unbind_all(UnbindAllRequest {}).await?.into_inner();
            Ok(Answer::new(
                Page::default(),
                json!({ "unbound": answer.paths }),
            ))
        }
    }
}

/// `ReportPersistentDevices`.
pub(super) fn bound(all: &[BoundVolume]) -> Answer {
    let mut page = Page::default();
    if !all.is_empty() {
        page.line("Persistent Volumes");
        for volume in all {
            page.line(format!("\"{}\"", shown(&volume.path)));
        }
        page.blank();
    }
    Answer::new(page, paths(all))
}

fn paths(all: &[BoundVolume]) -> serde_json::Value {
    all.iter().map(|volume| volume.path.clone()).collect()
}
