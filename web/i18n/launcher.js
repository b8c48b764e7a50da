// Words of the launcher, in all languages: it is there before a language is loaded.

/** @typedef {{ chat: string, unread: string, unreachable: string }} LauncherWords */

/** @type {Record<string, LauncherWords>} */
export const launcherWords = {
  en: { chat: 'Chat', unread: 'Chat, {count} unread', unreachable: 'The chat cannot be reached now.' },
  fr: {
    chat: 'Discussion',
    unread: 'Discussion, non lus : {count}',
    unreachable: 'La discussion est injoignable.',
  },
  ko: {
    chat: '채팅',
    unread: '채팅, 읽지 않음 {count}개',
    unreachable: '지금은 채팅에 연결할 수 없습니다.',
  },
  zh: { chat: '聊天', unread: '聊天，{count} 条未读', unreachable: '暂时无法连接聊天。' },
}
