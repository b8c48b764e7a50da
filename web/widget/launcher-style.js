// Style of the launcher, beside its code: it is there before anything else is loaded.

export const launcherStyle = [
  ':host{all:initial!important;position:fixed!important;inset-block-end:20px!important;inset-inline-end:20px!important;',
  'z-index:var(--frontdesk-z-index,2147483000)!important;color-scheme:light dark!important;',
  '--act:light-dark(#006084,#6ec0e4);--on-act:light-dark(#fff,#111418);font:15px/22px system-ui!important}',
  ':host([side=left]){inset-inline:20px auto!important}',
  ':host([theme=light]){color-scheme:light!important}',
  ':host([theme=dark]){color-scheme:dark!important}',
  '@media print{:host{display:none!important}}',
  '.launcher{all:unset;box-sizing:border-box;position:relative;display:grid;place-items:center;inline-size:56px;block-size:56px;',
  'border-radius:50%;background:var(--act);color:var(--on-act);cursor:pointer;box-shadow:0 8px 32px #0003}',
  '.launcher:focus-visible{outline:2px solid var(--act);outline-offset:2px}',
  '.launcher svg{inline-size:26px;block-size:26px;fill:currentColor}',
  '.badge{position:absolute;inset-block-start:-4px;inset-inline-end:-4px;min-inline-size:20px;padding-inline:4px;box-sizing:border-box;',
  'border-radius:10px;background:#f3aa40;color:#1c2128;font:600 12px/20px system-ui;text-align:center}',
  '.note{position:absolute;inset-block-end:68px;inset-inline-end:0;inline-size:240px;padding:8px 12px;border-radius:8px;',
  'background:light-dark(#fff,#1a1e24);color:light-dark(#1c2128,#edebe7);box-shadow:0 8px 32px #0003}',
  ':host([side=left]) .note{inset-inline:0 auto}',
  '[hidden],.note:empty{display:none!important}',
  '@media(forced-colors:active){.launcher,.badge,.note{border:1px solid}}',
].join('')
