//! What may be done, by whom: the one place where that is decided.

use super::{ChatKind, Role, Standing};

/// What a bearer may be: what is stored, and never more than their own token says. A token that says
/// nothing leaves it at what is stored.
#[must_use]
pub fn role_of(token: Option<Role>, stored: Role) -> Role {
    match (token, stored) {
        (Some(Role::Customer), Role::Admin) => Role::Customer,
        _ => stored,
    }
}

/// Whether who was `before` may do less as `after`.
#[must_use]
pub fn is_less(after: Role, before: Role) -> bool {
    before == Role::Admin && after != Role::Admin
}

/// Whether the chat exists for this user. To anyone else it is `chat_not_found`, existing or not.
#[must_use]
pub fn may_see(role: Role, standing: &Standing) -> bool {
    role == Role::Admin || standing.member
}

/// Whether the user may leave the chat's room: a customer is always in the own support chat.
#[must_use]
pub fn may_leave(role: Role, standing: &Standing) -> bool {
    !(role == Role::Customer && standing.kind == ChatKind::Support && standing.member)
}

/// Whether the user may make a chat of chosen people.
#[must_use]
pub fn may_create_group(role: Role) -> bool {
    role == Role::Admin
}

/// Whether the user may be told of every chat that is made or moves, and list them all.
#[must_use]
pub fn may_watch(role: Role) -> bool {
    role == Role::Admin
}

/// Whether the user may list, make and block users, and see their addresses.
#[must_use]
pub fn may_manage_users(role: Role) -> bool {
    role == Role::Admin
}

/// Whether the user may send what is meant for `wanted` alone; for everybody where it is none.
#[must_use]
pub fn may_send(role: Role, wanted: Option<Role>) -> bool {
    wanted.is_none_or(|wanted| wanted == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatId, Seq};

    fn standing(kind: ChatKind, member: bool) -> Standing {
        Standing { chat_id: ChatId(1), kind, member, last_seq: Seq(0), read_seq: Seq(0) }
    }

    #[test]
    fn a_bearer_is_never_more_than_the_token_says_nor_than_what_is_stored() {
        use Role::{Admin, Customer};
        for (token, stored, role) in [
            (None, Customer, Customer),
            (None, Admin, Admin),
            (Some(Customer), Customer, Customer),
            (Some(Customer), Admin, Customer),
            (Some(Admin), Customer, Customer),
            (Some(Admin), Admin, Admin),
        ] {
            assert_eq!(role_of(token, stored), role, "{token:?} {stored:?}");
        }
        assert!(is_less(Customer, Admin));
        for (after, before) in [(Admin, Admin), (Admin, Customer), (Customer, Customer)] {
            assert!(!is_less(after, before), "{after:?} {before:?}");
        }
    }

    #[test]
    fn a_customer_sees_nothing_that_is_not_theirs() {
        assert!(may_see(Role::Customer, &standing(ChatKind::Support, true)));
        assert!(!may_see(Role::Customer, &standing(ChatKind::Support, false)));
        assert!(!may_see(Role::Customer, &standing(ChatKind::Group, false)));
    }

    #[test]
    fn an_admin_sees_every_chat() {
        assert!(may_see(Role::Admin, &standing(ChatKind::Support, false)));
        assert!(may_see(Role::Admin, &standing(ChatKind::Group, false)));
    }

    #[test]
    fn a_customer_stays_in_the_own_chat_and_may_leave_a_group() {
        assert!(!may_leave(Role::Customer, &standing(ChatKind::Support, true)));
        assert!(may_leave(Role::Customer, &standing(ChatKind::Group, true)));
        assert!(may_leave(Role::Admin, &standing(ChatKind::Support, false)));
    }
}
