//! Page requests of lists, and the envelope of a page.

use serde::Serialize;

use super::ApiError;
use super::cursor::{self, Key};

/// The largest page.
pub const LIMIT_MAX: i64 = 100;

/// The direction of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Asc,
    Desc,
}

impl Order {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asc => "asc",
            Self::Desc => "desc",
        }
    }
}

/// Parameters of a page as they were sent; the list has a default for missing ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageQuery<'a> {
    pub limit: Option<i64>,
    pub order: Option<&'a str>,
    /// `cursor.after` of the previous page.
    pub after: Option<&'a str>,
}

/// One requested page: its start, and its length.
pub struct PageRequest {
    limit: i64,
    order: Order,
    after: Option<String>,
    /// The cursor's scope: the list, its order, and its filters.
    scope: String,
}

impl PageRequest {
    /// A page of the list `name`, with the list's default `limit` and `order`.
    ///
    /// # Errors
    /// A `limit` outside 1 to [`LIMIT_MAX`], or an `order` that is neither `asc` nor `desc`.
    pub fn new(
        name: &str,
        asked: PageQuery<'_>,
        limit: i64,
        order: Order,
    ) -> Result<Self, ApiError> {
        let limit = match asked.limit {
            None => limit,
            Some(limit @ 1..=LIMIT_MAX) => limit,
            Some(_) => {
                return Err(ApiError::bad_request("limit", format!("must be 1 to {LIMIT_MAX}")));
            }
        };
        let order = match asked.order {
            None => order,
            Some("asc") => Order::Asc,
            Some("desc") => Order::Desc,
            Some(_) => return Err(ApiError::bad_request("order", "must be asc or desc")),
        };
        let after = asked.after.map(str::to_owned);
        let scope = format!("{name}?order={}", order.as_str());
        Ok(Self { limit, order, after, scope })
    }

    /// Adds a filter; a cursor belongs to one filter.
    pub fn filter(&mut self, filter: &str) {
        self.scope.push_str(filter);
    }

    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    #[must_use]
    pub fn limit(&self) -> i64 {
        self.limit
    }

    /// Number of rows to read: one more than are shown, to recognise the last page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The key of the row that this page comes after; `None` on the first page.
    ///
    /// # Errors
    /// A cursor that is not this list's.
    pub fn after(&self) -> Result<Option<Key>, ApiError> {
        self.after.as_deref().map(|text| cursor::open(&self.scope, text)).transpose()
    }

    /// The page, from up to [`PageRequest::rows`] rows.
    pub fn page<'r, R, V>(
        &self,
        rows: &'r [R],
        key: impl Fn(&R) -> Key,
        view: impl Fn(&'r R) -> V,
    ) -> Page<V> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let shown = rows.get(..limit).unwrap_or(rows);
        let more = rows.len() > shown.len();
        let after = shown.last().filter(|_| more).map(|last| cursor::seal(&self.scope, key(last)));
        Page {
            data: shown.iter().map(view).collect(),
            cursor: Cursor { after },
            count: shown.len(),
        }
    }
}

/// The envelope of a page.
#[derive(Debug, Serialize)]
pub struct Page<V> {
    pub data: Vec<V>,
    pub cursor: Cursor,
    pub count: usize,
}

/// Cursor of the next page; empty on the last one.
#[derive(Debug, Serialize)]
pub struct Cursor {
    pub after: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn list(asked: PageQuery<'_>) -> Result<PageRequest, ApiError> {
        PageRequest::new("/chats", asked, 20, Order::Desc)
    }

    fn limited(limit: i64) -> PageRequest {
        list(PageQuery { limit: Some(limit), ..PageQuery::default() }).expect("a list")
    }

    fn page(list: &PageRequest, rows: &[i64]) -> Value {
        let page = list.page(rows, |row| (*row, 0), |row| row);
        serde_json::to_value(page).expect("JSON")
    }

    fn refused(asked: PageQuery<'_>) -> String {
        list(asked).err().expect("a refusal").path.expect("a path")
    }

    #[test]
    fn a_limit_is_one_to_a_hundred() {
        assert_eq!(list(PageQuery::default()).expect("a list").rows(), 21);
        assert_eq!(limited(1).rows(), 2);
        assert_eq!(limited(100).rows(), 101);
        for limit in [0, 101, -1, i64::MAX] {
            assert_eq!(refused(PageQuery { limit: Some(limit), ..PageQuery::default() }), "limit");
        }
    }

    #[test]
    fn an_order_is_asc_or_desc() {
        assert_eq!(list(PageQuery::default()).expect("a list").order(), Order::Desc);
        let asked = |order| PageQuery { order: Some(order), ..PageQuery::default() };
        assert_eq!(list(asked("asc")).expect("a list").order(), Order::Asc);
        for order in ["", "ASC", "up"] {
            assert_eq!(refused(asked(order)), "order");
        }
    }

    #[test]
    fn a_page_with_another_behind_it_says_how_to_go_on() {
        let page = page(&limited(2), &[9, 8, 7]);
        assert_eq!(page["data"], json!([9, 8]));
        assert_eq!(page["count"], 2);
        let after = page["cursor"]["after"].as_str().expect("a cursor");
        let next = list(PageQuery { limit: Some(7), after: Some(after), ..PageQuery::default() });
        assert_eq!(next.expect("a list").after(), Ok(Some((8, 0))));
    }

    #[test]
    fn a_full_last_page_is_the_last() {
        for rows in [&[9, 8][..], &[9], &[]] {
            let last = json!({"data": rows, "cursor": {"after": null}, "count": rows.len()});
            assert_eq!(page(&limited(2), rows), last);
        }
    }

    #[test]
    fn a_cursor_belongs_to_its_list_its_order_and_its_filters() {
        let first = {
            let mut list = limited(1);
            list.filter("&q=kim");
            page(&list, &[9, 8])
        };
        let after = first["cursor"]["after"].as_str().expect("a cursor");
        for (name, order, filter, whose) in [
            ("/chats", "desc", "&q=kim", true),
            ("/chats", "asc", "&q=kim", false),
            ("/chats", "desc", "&q=lee", false),
            ("/chats", "desc", "", false),
            ("/users", "desc", "&q=kim", false),
        ] {
            let asked = PageQuery { limit: None, order: Some(order), after: Some(after) };
            let mut other = PageRequest::new(name, asked, 20, Order::Desc).expect("a list");
            other.filter(filter);
            assert_eq!(other.after().is_ok(), whose, "{name} {order} {filter}");
        }
    }
}
