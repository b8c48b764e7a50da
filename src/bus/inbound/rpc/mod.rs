//! RPC commands: requests of other services. A command is a file, and a line in the table.

mod request;

use futures_util::FutureExt;

pub use request::{Command, RpcRequest};

/// The table of commands. One that is `repeated` is retried until it is done where it was emitted, since
/// nobody repeats it.
macro_rules! commands {
    ($($command:ident $($repeated:ident)?),+ $(,)?) => {
        $(mod $command;)+

        /// All commands. Each must be documented in `docs/RABBITMQ.md`.
        const COMMANDS: &[Command] = &[$(Command {
            name: $command::NAME,
            is_repeated: commands!(@flag $($repeated)?),
            run: |request| $command::run(request).boxed(),
        }),+];
    };
    (@flag repeated) => { true };
    (@flag) => { false };
}

commands![
    get_user,
    get_chat,
    list_chats,
    get_messages,
    send_message repeated,
    is_online,
    push,
];

impl Command {
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_and_is_documented() {
        let docs = include_str!("../../../../docs/RABBITMQ.md");
        for Command { name, .. } in COMMANDS {
            assert!(Command::find(name).is_some_and(|found| found.name == *name));
            assert!(docs.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(Command::find("nope").is_none());
    }
}
