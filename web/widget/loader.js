// The one script that a company puts into its pages: it loads the launcher of the server's version.
{
  const host = /** @type {any} */ (window)
  const queue = (host.frontdesk ||= [])
  const tag = document.currentScript
  // A further tag changes nothing. Without a tag it was imported: to start again, see below.
  if (queue.splice && (!tag || !queue.tag)) {
    queue.tag ||= tag
    queue.tries = (queue.tries ?? 0) + 1
    queue.loading = import(String(new URL('/_/tree/widget/launcher.js', queue.tag.src))).then(
      ({ launch }) => launch(queue),
      // The server was upgraded since this script was read: the newer script has other addresses.
      () =>
        queue.tries < 3 &&
        import(String(new URL(`/widget.js?${Date.now()}`, queue.tag.src))).then(
          () => queue.loading,
          () => undefined,
        ),
    )
  }
}
