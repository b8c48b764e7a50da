// Words of the launcher, in all languages: it is there before a language is loaded.

/** @typedef {{ chat: string, unread: string, unreachable: string }} LauncherWords */

/** @type {Record<string, LauncherWords>} */
export const launcherWords = {
  en: { chat: 'Chat', unread: 'Chat, {count} unread', unreachable: 'The chat cannot be reached. Please try later.' },
  fr: {
    chat: 'Discussion',
    unread: 'Discussion, non lus : {count}',
    unreachable: 'La discussion est injoignable. Réessayez plus tard.',
  },
  ko: {
    chat: '채팅',
    unread: '채팅, 읽지 않음 {count}개',
    unreachable: '채팅에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.',
  },
  zh: { chat: '聊天', unread: '聊天，{count} 条未读', unreachable: '暂时无法连接聊天，请稍后再试。' },
}
