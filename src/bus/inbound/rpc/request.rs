//! Requests for RPC commands, and what commands have in common.

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::{Instant, timeout};

use crate::bus::context::BusContext;
use crate::cluster::Nodes;
use crate::metrics::RpcOutcome;
use crate::protocol::{ApiError, Code, parse_data};

/// The answer to a command.
pub type Answer = Result<Box<RawValue>, ApiError>;

pub type Run = for<'a> fn(&'a RpcRequest<'a>) -> BoxFuture<'a, Answer>;

/// A command: its name in `{cmd: …}`, and its code.
pub struct Command {
    pub name: &'static str,
    /// True if an emitted command, which nobody repeats, is retried until it is done.
    pub is_repeated: bool,
    pub run: Run,
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

    /// Reads the command's parameters.
    ///
    /// # Errors
    /// `bad_request` with the path of what is wrong.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        parse_data(self.data, DATA)
    }
}

/// Path of a command's parameters in its packet.
pub const DATA: &str = "data";

/// Encodes an answer.
///
/// # Errors
/// A fault of the server.
pub fn answer(view: &impl Serialize) -> Answer {
    to_raw_value(view).map_err(|error| {
        log::error!("cannot encode an answer: {error}");
        ApiError::new(Code::Internal, "the answer cannot be written")
    })
}

/// The value of two alternative parameters.
///
/// # Errors
/// Both are given, or neither.
pub fn either<T>(
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
