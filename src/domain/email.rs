//! E-mail addresses of accounts, and the one form in which they are compared.

/// The longest address, in bytes. (RFC 5321, 4.5.3.1.3)
const BYTES: usize = 254;

/// An address as it was given, and its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    given: String,
    normal: String,
}

impl Email {
    /// Parses an address, without the spaces around it. The normal form is Unicode's NFKC in lower case,
    /// with the domain as DNS has it: `Kim@Exämple.org ` and `kim@xn--exmple-cua.org` are the same.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let given = text.trim();
        let (local, domain) = given.rsplit_once('@')?;
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
        if local.is_empty() || given.len() > BYTES || !given.chars().all(is_plain) {
            return None;
        }
        let domain =
            idna::domain_to_ascii_strict(domain).ok().filter(|domain| !domain.is_empty())?;
        let local = lower(local).filter(|local| !local.contains('@'))?;
        Some(Self { normal: format!("{local}@{domain}"), given: given.to_owned() })
    }

    /// As it was given, to be shown.
    #[must_use]
    pub fn given(&self) -> &str {
        &self.given
    }

    /// The normal form, to be compared.
    #[must_use]
    pub fn normal(&self) -> &str {
        &self.normal
    }
}

/// NFKC of the lower case, which is in lower case again.
fn lower(text: &str) -> Option<String> {
    use unicode_normalization::UnicodeNormalization;
    let folded: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    folded.chars().all(|c| !c.is_whitespace() && !c.is_control()).then_some(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> Option<String> {
        Email::parse(text).map(|email| email.normal().to_owned())
    }

    #[test]
    fn an_address_has_one_normal_form() {
        for same in ["kim@example.org", " KIM@Example.ORG ", "\u{ff2b}im@example.org"] {
            assert_eq!(normal(same).as_deref(), Some("kim@example.org"), "{same}");
        }
        assert_eq!(normal("kim@ex\u{e4}mple.org"), normal("kim@xn--exmple-cua.org"));
        assert_eq!(normal("j\u{fc}rgen@x.org"), normal("ju\u{308}rgen@x.org"));
        assert_eq!(
            Email::parse(" Kim@Example.org ").expect("an address").given(),
            "Kim@Example.org"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.org", "k".repeat(250));
        for text in
            ["", "kim", "@example.org", "kim@", "k m@example.org", "kim@a b", "kim@x\u{0}", &long]
        {
            assert_eq!(normal(text), None, "{text}");
        }
    }
}
