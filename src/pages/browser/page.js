// What a page does in a browser: filters, copies, and unfolds itself to be printed. Without it, everything is there to read.

for (const form of document.querySelectorAll('form.filter')) useFilter(/** @type {HTMLFormElement} */ (form))
for (const button of document.querySelectorAll('[data-copy]'))
  useCopy(/** @type {HTMLButtonElement} */ (button))
unfoldForPrint()

/** @param {HTMLFormElement} form */
function useFilter(form) {
  const list = document.getElementById(form.dataset.for ?? '')
  if (list === null) return
  const rows = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[data-tags]')])
  const groups = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[data-group]')])
  const search = /** @type {HTMLInputElement} */ (form.querySelector('input[type=search]'))
  const output = /** @type {HTMLOutputElement} */ (form.querySelector('output'))
  const texts = new Map(rows.map((row) => [row, (row.textContent ?? '').toLowerCase()]))

  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean)
    const tags = wantedTags(form)
    let shown = 0
    for (const row of rows) {
      const own = (row.dataset.tags ?? '').split(' ')
      row.hidden =
        !tags.every((tag) => own.includes(tag)) || !words.every((word) => texts.get(row)?.includes(word))
      if (!row.hidden) shown += 1
    }
    for (const group of groups) {
      const inner = /** @type {HTMLElement[]} */ ([...group.querySelectorAll('[data-tags]')])
      group.hidden = inner.length > 0 && inner.every(({ hidden }) => hidden)
    }
    output.textContent = `${shown} of ${rows.length}`
  }
  const sort = /** @type {HTMLSelectElement | null} */ (form.querySelector('[data-sort]'))
  sort?.addEventListener('change', () => {
    const key = sort.value
    const sorted =
      key === '' ? rows : [...rows].sort((a, b) => Number(b.dataset[key]) - Number(a.dataset[key]))
    rows[0]?.parentElement?.append(...sorted)
  })
  form.addEventListener('input', show)
  form.addEventListener('submit', (event) => event.preventDefault())
  form.hidden = false
  show()
}

/** @param {HTMLFormElement} form @returns {string[]} */
function wantedTags(form) {
  const boxes = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll('[data-tag]')])
  const choice = /** @type {HTMLSelectElement | null} */ (form.querySelector('[data-choice]'))
  const ticked = boxes.filter(({ checked }) => checked).map(({ dataset }) => dataset.tag ?? '')
  return [...ticked, choice?.value ?? ''].filter(Boolean)
}

/** @param {HTMLButtonElement} button */
function useCopy(button) {
  const code = button.nextElementSibling
  const [label] = button.childNodes
  if (code === null || label === undefined) return
  button.hidden = false
  button.addEventListener('click', async () => {
    const isCopied = await copy(code)
    label.textContent = isCopied ? 'Copied' : 'Selected'
    setTimeout(() => {
      label.textContent = 'Copy'
    }, 2000)
  })
}

/** Copies a text, or selects it where a page may not write to the clipboard, as over plain HTTP. @param {Element} code */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent ?? '')
    return true
  } catch {
    getSelection()?.selectAllChildren(code)
    return false
  }
}

function unfoldForPrint() {
  /** @type {HTMLDetailsElement[]} */
  let unfolded = []
  addEventListener('beforeprint', () => {
    unfolded = [...document.querySelectorAll('details')].filter(({ open }) => !open)
    for (const details of unfolded) details.open = true
  })
  addEventListener('afterprint', () => {
    for (const details of unfolded) details.open = false
  })
}
