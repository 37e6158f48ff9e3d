//! `hawser node-name`.

use hawser_api::v1::{GetNodeNameRequest, SetNodeNameRequest};
use serde::Serialize;

use super::Daemon;
use crate::args::{NodeNameArgs, OutputArgs};
use crate::error::CliError;
use crate::output::{self, to_json};

/// `hawser node-name`.
///
/// # Errors
/// Why it failed.
pub(crate) async fn run(daemon: &Daemon, args: NodeNameArgs) -> Result<(), CliError> {
    let client = daemon.client().await?;
    let mut system = client.system();
    let name = match (args.default, args.name) {
        (true, _) => String::new(),
        (false, Some(name)) if name.is_empty() => {
            return Err(CliError::usage("the name is empty").advice("for the default: --default"));
        }
        (false, Some(name)) => name,
        (false, None) => {
            let answer = system
                .get_node_name(GetNodeNameRequest {})
                .await?
                .into_inner();
            return show(&answer.node_name, Some(answer.is_default), args.output);
        }
    };
    let is_default = args.default.then_some(true);
    let answer = system
        .set_node_name(SetNodeNameRequest { node_name: name })
        .await?
        .into_inner();
    if let Some(warning) = output::warning(answer.warning) {
        output::note(&warning);
    }
    show(&answer.node_name, is_default, args.output)
}

/// The node name in JSON.
#[derive(Debug, Serialize)]
struct NodeNameView<'a> {
    node_name: &'a str,
    /// `null` where it was not asked for.
    is_default: Option<bool>,
}

fn show(name: &str, is_default: Option<bool>, output: OutputArgs) -> Result<(), CliError> {
    if output.json {
        return output::print(&to_json(&NodeNameView {
            node_name: name,
            is_default,
        }));
    }
    output::print(&hawser_api::printable(name))
}
