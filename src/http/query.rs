//! Query parameters, and ids in paths.

use actix_web::{HttpRequest, web};

use crate::protocol::ApiError;

/// Query parameters of a request. Unknown ones are ignored.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the query of `request`.
    ///
    /// # Errors
    /// A malformed query.
    pub fn from_request(request: &HttpRequest) -> Result<Self, ApiError> {
        Self::parse(request.query_string())
    }

    /// Parses a query string.
    ///
    /// # Errors
    /// The same.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        web::Query::<Vec<(String, String)>>::from_query(text)
            .map(|pairs| Self(pairs.into_inner()))
            .map_err(|error| ApiError::bad_request("query", error.to_string()))
    }

    /// A text that can be stored or searched for.
    ///
    /// # Errors
    /// A parameter that is given twice, or has U+0000, which PostgreSQL cannot store.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() {
            return Err(ApiError::bad_request(name, "is given twice"));
        }
        match value {
            Some(value) if value.contains('\0') => {
                Err(ApiError::bad_request(name, "must not contain U+0000"))
            }
            value => Ok(value.map(String::as_str)),
        }
    }

    /// A non-negative whole number.
    ///
    /// # Errors
    /// Anything else, or more than an `i64` holds.
    pub fn number(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        let number = |text: &str| {
            // `parse` alone would accept a plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or_else(|| {
                ApiError::bad_request(name, "must be a whole number that is not negative")
            })
        };
        self.text(name)?.map(number).transpose()
    }
}

/// The id in the path.
///
/// # Errors
/// Anything but an `i64`. A negative one is well formed; nothing exists under it.
pub fn id_in_path(request: &HttpRequest) -> Result<i64, ApiError> {
    id(request.match_info().query("id"))
}

fn id(text: &str) -> Result<i64, ApiError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .ok_or_else(|| ApiError::bad_request("id", "must be a whole number of 64 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(exception: ApiError) -> String {
        exception.path.expect("a path")
    }

    #[test]
    fn a_parameter_is_read_by_its_name() {
        let query = Query::parse("q=kim%20%C3%A9+x&limit=20&unknown=%zz").expect("a query");
        assert_eq!(query.text("q"), Ok(Some("kim é x")));
        assert_eq!(query.number("limit"), Ok(Some(20)));
        assert_eq!(query.number("afterSeq"), Ok(None));
    }

    #[test]
    fn a_number_that_is_none_is_refused_by_name() {
        for text in ["", "-1", "+1", "1.5", "x", "1x", "%201", "9223372036854775808"] {
            let query = Query::parse(&format!("afterSeq={text}")).expect("a query");
            assert_eq!(path(query.number("afterSeq").expect_err(text)), "afterSeq");
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let query = Query::parse("limit=1&limit=2").expect("a query");
        assert_eq!(path(query.number("limit").expect_err("twice")), "limit");
    }

    #[test]
    fn a_nul_is_refused() {
        let query = Query::parse("q=a%00b").expect("a query");
        assert_eq!(path(query.text("q").expect_err("a nul")), "q");
    }

    #[test]
    fn an_id_is_a_whole_number_of_64_bits() {
        assert_eq!(id("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(id("-1"), Ok(-1));
        for text in ["", "-", "--1", "+1", "1.0", "abc", " 1", "9223372036854775808"] {
            assert!(id(text).is_err(), "{text}");
        }
    }
}
