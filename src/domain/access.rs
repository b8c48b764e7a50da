//! Access rules, by verb. Nothing else decides what may be done.

use super::{ChatAccess, ChatKind, Role, Scope, Scopes};

/// A verb: a decision on an action in a chat, for a user of this role with this access.
pub type Verb = fn(Role, &ChatAccess) -> bool;

/// A bearer's role: the lesser of the stored one and the token's. A token without a role leaves the
/// stored one.
#[must_use]
pub fn role_of(token: Option<Role>, stored: Role) -> Role {
    match (token, stored) {
        (Some(Role::Customer), Role::Admin) => Role::Customer,
        _ => stored,
    }
}

/// True if `after` may do less than `before`.
#[must_use]
pub fn is_less(after: Role, before: Role) -> bool {
    before == Role::Admin && after != Role::Admin
}

/// Every chat exists for an admin, and for others the chats of which they are a member. To anyone
/// else a chat is `chat_not_found`, existing or not.
#[must_use]
pub fn may_read(role: Role, access: &ChatAccess) -> bool {
    may_read_all(role) || access.member
}

/// An admin reads every chat, a member or not.
#[must_use]
pub fn may_read_all(role: Role) -> bool {
    role == Role::Admin
}

/// Readers of a chat may write in it.
#[must_use]
pub fn may_post(role: Role, access: &ChatAccess) -> bool {
    may_read(role, access)
}

/// A customer is always in their own support chat; every other room may be left.
#[must_use]
pub fn may_leave(role: Role, access: &ChatAccess) -> bool {
    !(role == Role::Customer && access.kind == ChatKind::Support && access.member)
}

/// Admins list every chat, others those of which they are a member.
#[must_use]
pub fn may_list_all(role: Role) -> bool {
    role == Role::Admin
}

/// Admins may watch: they learn of every new chat, and of every chat's activity.
#[must_use]
pub fn may_watch(role: Role) -> bool {
    role == Role::Admin
}

/// Admins say which chat is on their screens, and see who views one; customers never do.
#[must_use]
pub fn may_view(role: Role) -> bool {
    role == Role::Admin
}

/// Admins make chats of chosen people.
#[must_use]
pub fn may_create_group(role: Role) -> bool {
    role == Role::Admin
}

/// Customers have exactly one chat of their own with the company.
#[must_use]
pub fn has_own_chat(role: Role) -> bool {
    role == Role::Customer
}

/// Admins list, make and block users, and see their addresses.
#[must_use]
pub fn may_manage_users(role: Role) -> bool {
    role == Role::Admin
}

/// Admins look after the deployment: sessions, and keys of services.
#[must_use]
pub fn may_operate(role: Role) -> bool {
    role == Role::Admin
}

/// A service key opens what its scopes name, and nothing else.
#[must_use]
pub fn may_by_key(scopes: &Scopes, scope: Scope) -> bool {
    scopes.has(scope)
}

/// An event for other services may be meant for one role alone.
#[must_use]
pub fn may_forward(role: Role, wanted: Option<Role>) -> bool {
    wanted.is_none_or(|wanted| wanted == role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ChatId, Seq};

    fn standing(kind: ChatKind, member: bool) -> ChatAccess {
        ChatAccess { chat_id: ChatId(1), kind, member, last_seq: Seq(0), read_seq: Seq(0) }
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
    fn each_verb_is_open_to_these_roles_in_these_chats() {
        use ChatKind::{Group, Support};
        use Role::{Admin, Bot, Customer, System};
        // Services do not sign in: as users, they may do what a customer may.
        for (role, kind, member, verbs) in [
            (Customer, Support, true, "read post"),
            (Customer, Support, false, "leave"),
            (Customer, Group, true, "read post leave"),
            (Customer, Group, false, "leave"),
            (Admin, Support, true, "read post leave"),
            (Admin, Support, false, "read post leave"),
            (Admin, Group, true, "read post leave"),
            (Admin, Group, false, "read post leave"),
            (Bot, Support, false, "leave"),
            (Bot, Group, true, "read post leave"),
            (System, Support, false, "leave"),
            (System, Group, true, "read post leave"),
        ] {
            let access = standing(kind, member);
            let open: Vec<&str> = [
                ("read", may_read(role, &access)),
                ("post", may_post(role, &access)),
                ("leave", may_leave(role, &access)),
            ]
            .into_iter()
            .filter_map(|(verb, is_open)| is_open.then_some(verb))
            .collect();
            assert_eq!(open.join(" "), verbs, "{role:?} {kind:?} {member}");
        }
    }

    #[test]
    fn each_verb_without_a_chat_is_open_to_one_role() {
        for (verb, role) in [
            (may_read_all as fn(Role) -> bool, Role::Admin),
            (may_list_all, Role::Admin),
            (may_watch, Role::Admin),
            (may_view, Role::Admin),
            (may_create_group, Role::Admin),
            (may_manage_users, Role::Admin),
            (may_operate, Role::Admin),
            (has_own_chat, Role::Customer),
        ] {
            for other in [Role::Customer, Role::Admin, Role::Bot, Role::System] {
                assert_eq!(verb(other), other == role, "{other:?}");
            }
        }
    }

    #[test]
    fn an_event_is_forwarded_for_its_role_or_for_all() {
        assert!(may_forward(Role::Customer, None));
        assert!(may_forward(Role::Admin, Some(Role::Admin)));
        assert!(!may_forward(Role::Customer, Some(Role::Admin)));
    }
}
