//! `send_message`: a message in a service's name.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use super::request::{Answer, DATA, RpcRequest, answer, either};
use crate::app::{self, Actor, ServiceAuthor};
use crate::domain::{CLIENT_ID_CHARS, ChatId, ClientId, Role, Seq, UserId};
use crate::protocol::{ApiError, NewMessage, Number, ReceiptView, Text, storable};

pub const NAME: &str = "send_message";

/// The longest name of a service, in characters: with its role it is a subject.
const NAME_CHARS: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendMessage {
    chat_id: Option<Number>,
    user_id: Option<Number>,
    message: String,
    client_id: Option<String>,
    expect_seq: Option<Seq>,
    author: Option<Author>,
}

/// The author that a service writes as.
#[derive(Default, Deserialize)]
struct Author {
    role: Option<String>,
    name: Option<Text>,
    nickname: Option<String>,
}

/// Posts by the same use case as a client's message.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let wanted: SendMessage = request.read()?;
    let (role, name, nickname) = wanted.author.unwrap_or_default().check()?;
    let mut message = NewMessage::check_parts(
        wanted.message,
        wanted.client_id,
        wanted.expect_seq,
        DATA,
        &request.context.app.request_limits(),
    )?;
    // A redelivery is the same message.
    message.client_id = message.client_id.or_else(|| client_id(request.id?));
    let to = either(
        (wanted.chat_id.map(|Number(id)| To::Chat(ChatId(id))), "chatId"),
        (wanted.user_id.map(|Number(id)| To::Customer(UserId(id))), "userId"),
    )?;
    let app = &request.context.app;
    let author = ServiceAuthor::find(app, role, name, nickname).await?;
    let actor = Actor::Service(&author);
    let chat = match to {
        To::Chat(chat) => chat,
        To::Customer(user) => app::own_chat(app, actor, user).await?,
    };
    let posted = app::post_message(app, actor, chat, message).await?;
    answer(&ReceiptView::new(chat, &posted.client_id, posted.receipt, posted.duplicate))
}

enum To {
    Chat(ChatId),
    Customer(UserId),
}

impl Author {
    /// Role, name and nickname; by default a bot called `bot`.
    fn check(self) -> Result<(Role, String, Option<String>), ApiError> {
        let path = |field: &str| format!("{DATA}.author.{field}");
        let role = match self.role.as_deref() {
            None => Role::Bot,
            Some(word) => Role::parse_any(word)
                .filter(|role| role.is_service())
                .ok_or_else(|| ApiError::bad_request(path("role"), "must be bot or system"))?,
        };
        let name = self.name.map_or_else(|| role.as_str().to_owned(), |Text(name)| name);
        if !(1..=NAME_CHARS).contains(&name.chars().count()) {
            let problem = format!("must have 1 to {NAME_CHARS} characters");
            return Err(ApiError::bad_request(path("name"), problem));
        }
        storable(&path("name"), &name)?;
        self.nickname.as_deref().map_or(Ok(()), |text| storable(&path("nickname"), text))?;
        Ok((role, name, self.nickname))
    }
}

/// `clientId` of a message without one, derived from its request's `id`: the `id` itself, or its
/// hash if the `id` is not a valid `clientId`.
fn client_id(id: &str) -> Option<ClientId> {
    let name = ClientId::parse(format!("rpc-{id}")).or_else(|_| {
        let hash: String = digest(&SHA256, id.as_bytes()).as_ref().iter().map(hex).collect();
        let name = format!("rpc-{hash}").chars().take(CLIENT_ID_CHARS).collect();
        ClientId::parse(name)
    });
    name.ok()
}

fn hex(byte: &u8) -> String {
    format!("{byte:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_different_ids_are_different_messages() {
        let long = "x".repeat(60);
        let ids = [
            "1".to_owned(),
            "a\0".to_owned(),
            "b\0".to_owned(),
            format!("{long}a"),
            format!("{long}b"),
            long,
        ];
        let mut names: Vec<_> = ids.iter().map(|id| client_id(id).unwrap()).collect();
        assert_eq!((names[0].as_str(), names[5].as_str().len()), ("rpc-1", CLIENT_ID_CHARS));
        assert_eq!(client_id(&ids[3]).as_ref(), Some(&names[3]), "the same again is the same");
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        assert_eq!(names.len(), ids.len());
    }
}
