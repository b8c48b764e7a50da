//! What may be done, by whom: the one place where that is decided.

use super::{ChatKind, Role, Standing};

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
