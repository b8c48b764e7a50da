// The one script that a company puts into its pages: it loads the launcher of the server's version.
{
  const host = /** @type {any} */ (window)
  const queue = (host.frontdesk ||= [])
  const tag = document.currentScript
  // A further tag changes nothing. Without a tag it was imported: to start again, see below.
  if (!tag || !queue.tag) {
    queue.tag ||= tag
    queue.tries = (queue.tries ?? 0) + 1
    import(String(new URL('/_/tree/widget/launcher.js', queue.tag.src))).then(
      ({ launch }) => launch(queue),
      () => {
        // The server was upgraded since this script was read. The newer one has other addresses.
        if (queue.tries < 3) import(String(new URL(`/widget.js?${Date.now()}`, queue.tag.src))).catch(() => undefined)
      },
    )
  }
}
