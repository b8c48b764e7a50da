//! RPC commands: requests of other services. A command is a file and a line in [`COMMANDS`].

mod chats;
mod messages;
mod push;
mod users;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, timeout};

use crate::bus::BusContext;
use crate::cluster::Nodes;
use crate::metrics::RpcOutcome;
use crate::protocol::{ApiError, Code, parse_data};

/// All commands. Each must be documented in `docs/RABBITMQ.md`.
const COMMANDS: [Command; 7] = [
    Command::new("get_user", |request| request.get_user().boxed()),
    Command::new("get_chat", |request| request.get_chat().boxed()),
    Command::new("list_chats", |request| request.list_chats().boxed()),
    Command::new("get_messages", |request| request.get_messages().boxed()),
    Command::new("send_message", |request| request.send_message().boxed()).repeated(),
    Command::new("is_online", |request| request.is_online().boxed()),
    Command::new("push", |request| request.push().boxed()),
];

/// The answer to a command.
pub type Answer = Result<Box<RawValue>, ApiError>;

type Run = for<'a> fn(&'a RpcRequest<'a>) -> BoxFuture<'a, Answer>;

/// A command: its name in `{cmd: …}`, and its code.
pub struct Command {
    pub name: &'static str,
    /// True if an emitted command, which nobody repeats, is retried until it is done.
    pub is_repeated: bool,
    run: Run,
}

impl Command {
    const fn new(name: &'static str, run: Run) -> Self {
        Self { name, is_repeated: false, run }
    }

    const fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }

    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|command| command.name == name)
    }
}

/// A request for a command.
pub struct RpcRequest<'a> {
    pub context: &'a BusContext,
    pub nodes: &'a Nodes,
    /// Recognises a redelivery of the request.
    pub id: Option<&'a str>,
    pub data: Option<&'a RawValue>,
}

impl RpcRequest<'_> {
    /// Runs a command within its deadline.
    ///
    /// # Errors
    /// A refusal, with the codes of the protocol; `unavailable` after the deadline.
    pub async fn answer(&self, command: &Command) -> Answer {
        let began = Instant::now();
        let deadline = self.context.settings.rpc_timeout();
        let answer = timeout(deadline, (command.run)(self)).await.unwrap_or_else(|_| {
            log::warn!("{} took longer than {deadline:?}", command.name);
            Err(ApiError::unavailable())
        });
        let outcome = match &answer {
            Ok(_) => RpcOutcome::Answered,
            Err(exception) => match exception.code {
                Code::Unavailable | Code::Internal => RpcOutcome::Unavailable,
                _ => RpcOutcome::Refused,
            },
        };
        self.context.metrics.answered(command.name, outcome, began.elapsed());
        answer
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_data(self.data, DATA)
    }
}

/// Path of a command's parameters in its packet.
const DATA: &str = "data";

fn answer(view: &impl Serialize) -> Answer {
    to_raw_value(view).map_err(|error| {
        log::error!("cannot encode an answer: {error}");
        ApiError::new(Code::Internal, "the answer cannot be written")
    })
}

/// The value of two alternative parameters.
///
/// # Errors
/// Both are given, or neither.
fn either<T>(
    (first, first_name): (Option<T>, &str),
    (second, second_name): (Option<T>, &str),
) -> Result<T, ApiError> {
    match (first, second) {
        (Some(value), None) | (None, Some(value)) => Ok(value),
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            format!("{DATA}.{second_name}"),
            format!("stands beside {DATA}.{first_name}, one is allowed"),
        )),
        (None, None) => Err(ApiError::bad_request(
            format!("{DATA}.{first_name}"),
            format!("is missing (or {DATA}.{second_name})"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_by_its_name_and_is_documented() {
        let docs = include_str!("../../../../docs/RABBITMQ.md");
        for Command { name, .. } in COMMANDS {
            assert!(Command::find(name).is_some_and(|found| found.name == name));
            assert!(docs.contains(&format!("| `{name}` |")), "{name}");
        }
        assert!(Command::find("nope").is_none());
    }
}
