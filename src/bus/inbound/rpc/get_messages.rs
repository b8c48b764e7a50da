//! `get_messages`: a chat's log in pages.

use serde::Deserialize;

use super::request::{Answer, DATA, RpcRequest, answer};
use crate::app::{self, Actor};
use crate::db::HistoryPage;
use crate::domain::{ChatId, Seq};
use crate::protocol::{ApiError, MessageView, Number, Order, PageQuery, PageRequest};

pub const NAME: &str = "get_messages";

/// Default page size.
const LIMIT: i64 = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetMessages {
    chat_id: Number,
    limit: Option<i64>,
    after: Option<String>,
    after_seq: Option<Number>,
    before_seq: Option<Number>,
    order: Option<String>,
}

/// The newest first, unless asked otherwise.
pub async fn run(request: &RpcRequest<'_>) -> Answer {
    let wanted: GetMessages = request.read()?;
    let chat = ChatId(wanted.chat_id.0);
    let asked = PageQuery {
        limit: wanted.limit,
        order: wanted.order.as_deref(),
        after: wanted.after.as_deref(),
    };
    let list = PageRequest::new(&format!("get_messages/{chat}"), asked, LIMIT, Order::Desc);
    let mut list = list.map_err(|refused| refused.within(DATA))?;
    let (after, before) =
        (bound(wanted.after_seq, "afterSeq")?, bound(wanted.before_seq, "beforeSeq")?);
    for (name, bound) in [("afterSeq", after), ("beforeSeq", before)] {
        if let Some(seq) = bound {
            list.filter(&format!("&{name}={seq}"));
        }
    }
    let shown = list.after().map_err(|refused| refused.within(DATA))?;
    let page = HistoryPage {
        after,
        before,
        newest_first: list.order() == Order::Desc,
        limit: list.rows(),
    }
    .behind(shown.map(|(seq, _)| Seq(seq)));
    let messages = app::list_messages(&request.context.app, Actor::System, chat, page).await?;
    answer(&list.page(&messages, |message| (message.seq.0, 0), MessageView::from))
}

fn bound(seq: Option<Number>, name: &str) -> Result<Option<Seq>, ApiError> {
    match seq {
        Some(Number(seq)) if seq < 0 => {
            Err(ApiError::bad_request(format!("{DATA}.{name}"), "must not be negative"))
        }
        seq => Ok(seq.map(|Number(seq)| Seq(seq))),
    }
}
