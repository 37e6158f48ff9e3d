//! `hawser completions`: what shells complete of the programs, from the definitions that these read.

use clap::{Command, CommandFactory};

use crate::args::{Cli, CompletionsArgs, DaemonProgram, IscsicliProgram, Program};
use crate::error::CliError;
use crate::{iscsicli, output};

/// Prints the completions of a program.
///
/// # Errors
/// They cannot be written to stdout.
pub(crate) fn print(args: &CompletionsArgs) -> Result<(), CliError> {
    let mut script = Vec::new();
    let mut command = command_of(args.program);
    let name = command.get_name().to_owned();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

fn command_of(program: Program) -> Command {
    match program {
        Program::Hawser => {
            Cli::command().mut_subcommand("iscsicli", |program| with_commands(&program))
        }
        Program::Hawserd => DaemonProgram::command(),
        Program::HawserTarget => hawser_target::program::Options::command(),
        Program::Iscsicli => with_commands(&IscsicliProgram::command()),
    }
}

/// `iscsicli` with its commands. The program reads all words itself, so its own definition does not know them.
fn with_commands(program: &Command) -> Command {
    let options = program.get_arguments().filter(|arg| !arg.is_positional());
    let commands = iscsicli::commands().map(|(name, does)| {
        Command::new(name)
            .about(does)
            // Behind a command every word is the command's.
            .disable_help_flag(true)
    });
    Command::new("iscsicli")
        .about(program.get_about().cloned().unwrap_or_default())
        .args(options.cloned().collect::<Vec<_>>())
        .disable_help_subcommand(true)
        .subcommands(commands)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;

    fn script(shell: Shell, program: Program) -> String {
        let mut command = command_of(program);
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, name, &mut script);
        String::from_utf8(script).expect("is text")
    }

    #[test]
    fn every_program_completes_its_own_words_in_every_shell() {
        for shell in Shell::value_variants() {
            for (program, word) in [
                (Program::Hawser, "session"),
                (Program::Hawserd, "state-dir"),
                (Program::HawserTarget, "portal"),
                (Program::Iscsicli, "json"),
            ] {
                let script = script(*shell, program);
                assert!(script.contains(word), "{shell} {program:?}: {script}");
            }
        }
    }

    #[test]
    fn the_commands_of_iscsicli_are_completed_under_both_names() {
        for program in [Program::Iscsicli, Program::Hawser] {
            let script = script(Shell::Bash, program);
            let mut count = 0;
            for (name, _) in iscsicli::commands() {
                assert!(script.contains(name), "{program:?} {name}: {script}");
                count += 1;
            }
            assert!(count > 40, "{count}");
        }
    }
}
